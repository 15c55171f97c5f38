using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using MigrationCluster.Api;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>
/// A large guest that does nothing, 60 % of its RAM holes, moved by two real daemons: how long, how many bytes, and how much memory of
/// their own the daemons take. It is not in CI: the guest takes 8 GiB.
/// </summary>
internal static class IdleGuestBenchmark
{
    internal const int DefaultMiB = 8192;

    private const string Guest = "idle";
    private const double MostAnonymousMiB = 250;
    private const double PresentAtStart = 7 / 8.0; // a guest fills this much of its RAM when it starts
    private const double Holes = 0.6;
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(20);

    internal static async Task<int> RunAsync(Figures figures, int memoryMiB, CancellationToken cancellationToken)
    {
        string folder = Directory.CreateTempSubdirectory("mcb").FullName;
        try
        {
            await File.WriteAllTextAsync(
                Path.Combine(folder, "node.json"),
                $$"""{ "memoryMiB": {{memoryMiB + 256}}, "templates": { "serial": { "model": "serial" } } }""", cancellationToken);
            await using var alpha = await BenchNode.StartAsync("alpha", folder, null, cancellationToken);
            await using var beta = await BenchNode.StartAsync("beta", folder, alpha.Address, cancellationToken);
            using var client = new ClusterClient(alpha.Address);
            while ((await client.ListNodesAsync(cancellationToken)).Count(node => node.Reachable) < 2) await Task.Delay(Between, cancellationToken);
            var spec = new GuestSpec(Guest, memoryMiB, new VcpuSpec(1, "uniform", 0), [new DeviceSpec("serial0", "serial")]);
            await client.StartGuestAsync(JsonSerializer.Serialize(new StartGuestRequest("alpha", spec), Json.Requests), cancellationToken);
            try
            {
                return await MoveAsync(figures, folder, client, alpha, beta, memoryMiB, cancellationToken);
            }
            finally
            {
                await client.StopGuestAsync(Guest, CancellationToken.None);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<int> MoveAsync(
        Figures figures, string folder, ClusterClient client, BenchNode alpha, BenchNode beta, int memoryMiB, CancellationToken cancellationToken)
    {
        byte[] content;
        using (var ram = BenchGuest.OpenRam(Path.Combine(folder, "alpha", "guests", Guest)))
        {
            PunchHoles(ram, memoryMiB);
            content = await HashAsync(ram, cancellationToken);
        }
        figures.Note(string.Create(CultureInfo.InvariantCulture, $"an idle guest of {memoryMiB} MiB, {Holes:P0} of it holes, between two mc-node processes on loopback, plain"));
        double most = 0;
        long start = Stopwatch.GetTimestamp();
        var view = await client.MigrateAsync(new MigrateRequest(Guest, "beta", MaxDowntimeMs: 1000), cancellationToken);
        while (view.EndedAt is null)
        {
            most = Math.Max(most, Math.Max(alpha.AnonymousMiB, beta.AnonymousMiB));
            await Task.Delay(Between, cancellationToken);
            view = await client.GetMigrationAsync(view.Id, cancellationToken);
        }
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        if (view is not { Outcome: Outcomes.Completed, Report: { } report })
            throw new InvalidOperationException($"the migration ended as {view.Outcome}: {string.Join("; ", view.Reasons.Select(reason => reason.Message))}");
        using (var ram = BenchGuest.OpenRam(Path.Combine(folder, "beta", "guests", Guest)))
            if (!(await HashAsync(ram, cancellationToken)).SequenceEqual(content))
                throw new InvalidOperationException("the destination's RAM is not what the source's was");

        figures.Print("idle guest.time", seconds, "s");
        figures.Print("idle guest.first pass", report.Iterations[0].Ms / 1000, "s");
        figures.Print("idle guest.downtime", report.DowntimeMs, "ms");
        figures.Print("idle guest.pages sent", report.Bytes.Pages / 1048576.0, "MiB");
        figures.Print("idle guest.zeros not sent", report.Bytes.ZeroPages / 1048576.0, "MiB");
        figures.Print("idle guest.device state", report.Bytes.DeviceState / 1048576.0, "MiB");
        figures.Print("idle guest.protocol", report.Bytes.Protocol / 1048576.0, "MiB");
        figures.Print("idle guest.bytes on the wire to RAM", (report.Bytes.Pages + report.Bytes.DeviceState + report.Bytes.Protocol) / (memoryMiB * 1048576.0), "ratio");
        figures.AtMost("idle guest.daemons' RssAnon, the larger one's peak", most, "MiB", MostAnonymousMiB, $"at most {MostAnonymousMiB} MiB");
        return figures.AllHold ? 0 : 1;
    }

    /// <summary>As if so much had never been written: holes of 38 MiB, spread over what the guest filled.</summary>
    private static void PunchHoles(FileStream ram, int memoryMiB)
    {
        const long hole = 38L << 20;
        double keep = (1 - Holes) / PresentAtStart;
        long stride = (long)(hole / (1 - keep)) >> 12 << 12;
        for (long at = stride - hole; at + hole <= (long)memoryMiB << 20; at += stride) BenchRam.Punch(ram.SafeFileHandle, at, hole);
    }

    /// <summary>Of all of it; reading a hole through the file does not fill it.</summary>
    private static async Task<byte[]> HashAsync(FileStream ram, CancellationToken cancellationToken)
    {
        ram.Position = 0;
        return await SHA256.HashDataAsync(ram, cancellationToken);
    }
}
