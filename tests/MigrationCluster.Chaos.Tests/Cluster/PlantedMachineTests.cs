using System.Diagnostics;
using MigrationCluster.Chaos.Cluster;
using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>
/// Each planted bug of the simulator that is in a machine alone, in real daemons: a case of the matrix finds it. With MC_ALL_PLANTED=1 all of them,
/// else the first.
/// </summary>
public sealed class PlantedMachineTests
{
    /// <summary>Bug, failpoint, fault, and what it is found as.</summary>
    public static TheoryData<string, string, string, string> Bugs
    {
        get
        {
            (string Bug, string Point, string Fault, string As)[] all =
            [
                ("stop-before-quiet", "source:after:MachinePaused", "hang-device", "QuiescedBeforeStopped"),
                ("commit-without-yield", "source:before:SetupCollected", "stop-node", "VotedBeforeCommitted"),
                ("unacknowledged-okay", "source:before:SetupCollected", "stop-node", "EveryTransitionAllowed"),
                ("undecided-perform3-done", "source:after:FinalStateSent", "kill-node", "no rest"),
                ("target-declares-itself-owner", "source:before:GuestYielded", "stop-node", "CommittedBeforeRunning"),
                ("run-before-quiet", "destination:after:PermitTaken", "hang-device", "QuiescedBeforeStopped"),
                ("isolate-too-late", "source:before:KeepVoted", "refuse-device", "QuiescedBeforeStopped"),
            ];
            var data = new TheoryData<string, string, string, string>();
            foreach (var (bug, point, fault, found) in all.Take(Environment.GetEnvironmentVariable("MC_ALL_PLANTED") is "1" ? all.Length : 1))
                data.Add(bug, point, fault, found);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Bugs))]
    public async Task A_bug_that_is_planted_in_real_daemons_is_found(string bug, string point, string fault, string found)
    {
        string report = Directory.CreateTempSubdirectory("planted").FullName;
        var start = new ProcessStartInfo(Shell.Find("MigrationCluster.Chaos", "mc-chaos"))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in (string[])
            ["matrix", "--planted", bug, "--points", point, "--faults", fault, "--loopback", "--guest-mib", "16", "--report", report])
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        string said = output + await error;
        Assert.True(process.ExitCode == 1, said);
        var wrong = MatrixRun.Read(report).SelectMany(result => result.Wrong).ToList();
        Assert.DoesNotContain(wrong, one => one.StartsWith("left behind", StringComparison.Ordinal));
        Assert.True(wrong.Exists(one => one.StartsWith(found, StringComparison.Ordinal)), string.Join('\n', [.. wrong, said]));
        Directory.Delete(report, recursive: true);
    }
}
