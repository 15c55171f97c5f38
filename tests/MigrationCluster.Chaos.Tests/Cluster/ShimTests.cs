using System.Diagnostics;
using System.Globalization;
using MigrationCluster.Chaos.Cluster.Shim;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>The preloaded library, on programs that everybody has.</summary>
public sealed class ShimTests : IDisposable
{
    private const string Host = "n1";
    private readonly string _folder = Directory.CreateTempSubdirectory("mcx-shim").FullName;
    private readonly Shim _shim;

    public ShimTests()
    {
        _shim = new Shim(_folder);
        if (Shim.Missing() is null) _shim.Build();
    }

    [ShimFact]
    public void An_fsync_fails_for_as_long_as_it_is_asked_to()
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "x");

        Assert.Equal(0, Run("sync", file).Status);
        _shim.Ask(Host, "fsync");
        var failed = Run("sync", file);
        Assert.True(_shim.Leave(Host, "fsync"));

        Assert.NotEqual(0, failed.Status);
        Assert.Contains("Input/output error", failed.Said, StringComparison.Ordinal);
        Assert.Equal(0, Run("sync", file).Status);
    }

    [ShimFact]
    public void A_write_to_a_log_stops_in_the_middle_and_the_process_with_it()
    {
        string log = Path.Combine(_folder, "agent.db-wal");
        _shim.Around(Host);
        _shim.Ask(Host, "torn");

        Assert.NotEqual(0, Run("dd", "if=/dev/zero", $"of={log}", "bs=4096", "count=1").Status);
        Assert.Equal(2048, new FileInfo(log).Length);
        Assert.False(_shim.Leave(Host, "torn"));
        Assert.Equal(0, Run("dd", "if=/dev/zero", $"of={log}-not", "bs=4096", "count=1").Status);
    }

    [ShimFact]
    public void The_clock_is_off_by_what_is_asked()
    {
        _shim.Around(Host);
        _shim.Ask(Host, "clock", "600");

        double off = double.Parse(Run("date", "+%s").Said, CultureInfo.InvariantCulture) - DateTimeOffset.UtcNow.ToUnixTimeSeconds();

        Assert.InRange(off, 590, 610);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private (int Status, string Said) Run(params string[] command)
    {
        string[] whole = [.. _shim.Around(Host), .. command];
        using var process = Process.Start(new ProcessStartInfo(whole[0], whole[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string said = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, said);
    }
}
