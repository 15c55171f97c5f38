using System.Diagnostics;
using MigrationCluster.Chaos.Cluster;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>Between two namespaces of a run's network. A connection to a port that nobody listens on is refused by the other side's kernel: one
/// packet each way.</summary>
public sealed class DetourTests : IAsyncLifetime
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(200);

    private readonly string _run = $"mcx-t{Environment.ProcessId}";
    private readonly ChaosSettings _settings;
    private readonly Network _network;

    public DetourTests()
    {
        _settings = new ChaosSettings("/nonexistent", 1, 0, ChaosSettings.Sqlite, 1, 1, "", true, false, [], new Dictionary<string, string>());
        _network = new Network(_run);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => CleanUp.SweepAsync(Path.Combine("/nonexistent", _run));

    [NamespaceFact]
    public void What_passes_between_two_daemons_comes_late_while_there_is_a_detour()
    {
        _network.Make(_settings);
        Refused("n1", "c1");
        using (_network.Detour(_settings, 7, "n1", "c1", Delay, TimeSpan.Zero, 1))
        {
            Assert.True(Refused("n1", "c1") >= 2 * Delay, "with a detour");
            Assert.True(Refused("c1", "n1") >= 2 * Delay, "the other way");
        }

        Refused("n1", "c1");
        Assert.Equal(["cable", "cable"], [Way("n1", "c1"), Way("c1", "n1")]);
    }

    [NamespaceFact]
    public void Of_two_detours_at_a_time_each_ends_by_itself()
    {
        _network.Make(_settings);
        var first = _network.Detour(_settings, 1, "n1", "c1", Delay, TimeSpan.Zero, 1);
        using (_network.Detour(_settings, 2, "c1", "n1", TimeSpan.Zero, TimeSpan.Zero, 1))
        {
            Assert.Equal("detour1", Way("n1", "c1"));
            first.Dispose();
            Assert.Equal("detour2", Way("n1", "c1"));
            Refused("n1", "c1");
        }
    }

    /// <returns>how long it took to be refused.</returns>
    private TimeSpan Refused(string from, string to)
    {
        var watch = Stopwatch.StartNew();
        var (status, output) = Run([.. _network.On(from), "bash", "-c", $"echo > /dev/tcp/{Network.Address(_settings, to)}/9"]);
        Assert.True(status != 0 && output.Contains("refused", StringComparison.Ordinal), output);
        return watch.Elapsed;
    }

    /// <returns>the device that packets leave by.</returns>
    private string Way(string from, string to)
    {
        var words = Run([.. _network.On(from), "ip", "route", "get", Network.Address(_settings, to)]).Output.Split(' ').ToList();
        return words[words.IndexOf("dev") + 1];
    }

    private static (int Status, string Output) Run(string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        string output = process.StandardError.ReadToEnd() + process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }
}
