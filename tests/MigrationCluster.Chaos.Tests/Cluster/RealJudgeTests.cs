using System.Diagnostics;
using System.Globalization;
using MigrationCluster.Chaos.Cluster;
using MigrationCluster.Chaos.Cluster.Judging;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>The judge, on real processes in which something is made wrong behind their backs.</summary>
public sealed class RealJudgeTests : IAsyncLifetime
{
    private const string Guest = "g1";
    private readonly ChaosSettings _settings = ChaosCommand.Read(null, 2, 1, ChaosSettings.Sqlite, 1, 1, "kill-node", "/tmp/none", loopback: true) with { GuestMiB = 32 };
    private readonly ChaosCluster _cluster;
    private readonly Watcher _watcher;

    public RealJudgeTests()
    {
        _cluster = new ChaosCluster(_settings);
        _watcher = new Watcher(_cluster, Stopwatch.StartNew());
    }

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(_settings.Folder);
        await _cluster.StartAsync(default);
    }

    public async Task DisposeAsync()
    {
        await _cluster.EndAsync();
        _cluster.Dispose();
        Assert.Empty(await CleanUp.SweepAsync(_settings.Folder));
    }

    [Fact]
    public async Task A_wrong_page_and_a_fence_file_that_lets_nobody_run_are_found_and_a_whole_guest_is_not()
    {
        await RestJudge.JudgeAsync(_cluster, _watcher, Guest, default);
        Assert.Empty(_watcher.Findings);

        await SpoilPagesAsync(_cluster.Files("n1", Guest).Guest!.Value);
        await RestJudge.JudgeAsync(_cluster, _watcher, Guest, default);
        Assert.Contains(_watcher.Findings, finding => finding.Invariant == "NoDirtyPageLost");

        string fence = _cluster.Files("n1", Guest).PathOf(GuestFiles.Fence);
        string whole = await File.ReadAllTextAsync(fence);
        Assert.Contains("\"yielded\":false", whole, StringComparison.Ordinal);
        await File.WriteAllTextAsync(fence, whole.Replace("\"yielded\":false", "\"yielded\":true", StringComparison.Ordinal));
        await RestJudge.JudgeAsync(_cluster, _watcher, Guest, default);
        await File.WriteAllTextAsync(fence, whole);
        Assert.Contains(_watcher.Findings, finding => finding.Invariant == "CommittedBeforeRunning");
    }

    /// <summary>The first bytes of every page in the second half of guest RAM: the vCPUs write some of them anew, but not all.</summary>
    private static async Task SpoilPagesAsync(int process)
    {
        string range = (await File.ReadAllLinesAsync($"/proc/{process}/maps")).First(line => line.Contains("memfd:guest-ram", StringComparison.Ordinal)).Split(' ')[0];
        long[] ends = [.. range.Split('-').Select(end => long.Parse(end, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
        await using var memory = new FileStream($"/proc/{process}/mem", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        for (long at = ends[0] + (ends[1] - ends[0]) / 2; at < ends[1]; at += 4096)
        {
            memory.Seek(at, SeekOrigin.Begin);
            memory.Write([0xBA, 0xD0, 0xBA, 0xD0, 0xBA, 0xD0, 0xBA, 0xD0]);
        }
    }
}
