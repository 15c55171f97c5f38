using MigrationCluster.DataPlane;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>Pages and device state over loopback, both ends in this process, against C, TLS and a memory copy.</summary>
internal static class DataPlaneBenchmark
{
    private const int RamMiB = 512;
    private const int Devices = 4;
    private const int DeviceBytes = 64 << 20;
    private const int GpuMiB = 256;
    private const int WarmUps = 2;
    private const int Rounds = 10;

    private const string Sealed = "sealed", SealedDevices = "sealed device state, memory to memory";
    private const string Tls = "SslStream", TlsOne = "SslStream, one connection";
    private const string Plain = "plain", PlainCold = "plain, into RAM never written";
    private const string CBare = "C without a check", CCheck = "C with our check", CCold = "C with our check, RAM never written";
    private const string InMemory = "device state, memory to memory", EndToEnd = "device state, end to end";
    private const string Scan = "zero scan", CScan = "zero scan in C";

    private static readonly LaunchDevice Gpu = new(
        "gpu0", "gpu", new Dictionary<string, string> { ["memory-mib"] = $"{GpuMiB}", ["dirty-rate"] = "0" }, []);

    /// <param name="only">words, one of which the name of what is measured must contain, then without bars; none: everything.</param>
    internal static async Task<int> RunAsync(
        TextWriter output, Figures figures, IReadOnlyCollection<string> only, CancellationToken cancellationToken)
    {
        var options = TransferOptions.Default;
        int connections = options.Channels - 1;
        const long ram = (long)RamMiB << 20;
        using var native = NativePeer.TryBuild(out string? why);
        figures.Note($"{Environment.ProcessorCount} processors; {RamMiB} MiB of random guest RAM; {connections} page connections, "
            + $"and as many of every other; {Rounds} rounds, medians; CPU-seconds of both ends together");
        figures.Note(native is null ? $"SKIPPED: every comparison with C. {why}" : $"C checks with {native.Check}");
        figures.Note($"end to end: a gpu of {GpuMiB} MiB: device server, mc-guest, data plane, mc-guest, device server; CPU of all of them");

        using var source = new BenchRam(RamMiB, 1);
        using var destination = new BenchRam(RamMiB, 2);
        using var zeros = new BenchRam(RamMiB, null);
        await using var session = await BenchSession.OpenAsync(source, destination, Devices, DeviceBytes, options, TransferMode.Plain, cancellationToken);
        await using var hidden = await BenchSession.OpenAsync(
            source, destination, Devices, DeviceBytes, options, TransferMode.Sealed, cancellationToken);
        using var tls = await TlsCopy.ConnectAsync(connections, cancellationToken);
        using var tlsOne = await TlsCopy.ConnectAsync(1, cancellationToken);
        using var peer = native?.Connect(connections);
        await using var sourceGuest = await BenchGuest.StartAsync(incoming: false, [Gpu], cancellationToken);
        await sourceGuest.StopAsync(cancellationToken);
        await using var destinationGuest = await BenchGuest.StartAsync(incoming: true, [Gpu], cancellationToken);
        await using var chain = new DeviceChain(sourceGuest, destinationGuest, Gpu.Name, source, destination, options);

        Task Forget()
        {
            destination.PunchOut();
            return Task.CompletedTask;
        }

        var contest = new Contest();
        contest.Add("memory copy, one thread", ram, () => Task.Run(() => source.GetSpan().CopyTo(destination.GetSpan())));
        if (peer is not null)
        {
            contest.Add(CBare, ram, () => peer.CopyAsync(source, destination, check: false));
            contest.Add(CCheck, ram, () => peer.CopyAsync(source, destination, check: true));
        }
        contest.Add(Plain, ram, () => session.SendPagesAsync(cancellationToken));
        contest.Add(Sealed, ram, () => hidden.SendPagesAsync(cancellationToken));
        contest.Add(Tls, ram, () => tls.CopyAsync(source.Memory, destination.Memory, cancellationToken));
        contest.Add(TlsOne, ram, () => tlsOne.CopyAsync(source.Memory, destination.Memory, cancellationToken));
        contest.Add(InMemory, session.Devices.Bytes, () => session.Devices.SendAsync(session.Sender, 1, cancellationToken));
        contest.Add(SealedDevices, hidden.Devices.Bytes, () => hidden.Devices.SendAsync(hidden.Sender, 1, cancellationToken));
        contest.Add(
            EndToEnd, (long)GpuMiB << 20, () => chain.SendAsync(cancellationToken), () => chain.PrepareAsync(cancellationToken),
            () => chain.FinishAsync(cancellationToken), () => sourceGuest.CpuTime + destinationGuest.CpuTime);
        if (peer is not null) contest.Add(CCold, ram, () => peer.CopyAsync(source, destination, check: true), Forget);
        contest.Add(PlainCold, ram, () => session.SendPagesAsync(cancellationToken), Forget);
        if (native is not null)
            contest.Add(CScan, ram, () => Task.Run(() => CheckCount(native.CountZeroPages(zeros.GetSpan()))));
        contest.Add(Scan, ram, () => Task.Run(() => CheckCount(CountZeroPages(zeros.GetSpan()))));
        if (only.Count > 0) contest.Keep(only);
        await contest.RunAsync(WarmUps, Rounds, cancellationToken);
        contest.Print(output);
        if (only.Count > 0) return 0;

        double perPage = await session.AllocatedPerPageAsync(cancellationToken);
        double perChunk = await session.AllocatedPerChunkAsync(cancellationToken);
        double perSealedPage = await hidden.AllocatedPerPageAsync(cancellationToken);
        await session.FinishAsync(cancellationToken);
        await hidden.FinishAsync(cancellationToken);
        if (native is not null)
        {
            figures.AtLeast("plain to C with our check", contest.Ratio(Plain, CCheck), 0.9);
            figures.AtLeast("plain to C without a check", contest.Ratio(Plain, CBare), 0.65);
            figures.Print("plain to C with our check, into RAM never written", contest.Ratio(PlainCold, CCold), "ratio");
            figures.AtLeast("zero scan to C", contest.Ratio(Scan, CScan), 0.8);
        }
        figures.AtLeast("sealed to SslStream on as many connections", contest.Ratio(Sealed, Tls), 1.3);
        figures.AtLeast("sealed to SslStream on one connection", contest.Ratio(Sealed, TlsOne), 2.5);
        figures.Print("sealed to plain", contest.Ratio(Sealed, Plain), "ratio");
        figures.AtLeast("device state end to end to plain", contest.Ratio(EndToEnd, Plain), 0.3);
        figures.Print("device state memory to memory to plain", contest.Ratio(InMemory, Plain), "ratio");
        figures.AtMost("pages.allocated", perPage, "B/page", 0.5, "rounds to 0");
        figures.AtMost("sealed pages.allocated", perSealedPage, "B/page", 0.5, "rounds to 0");
        figures.AtMost("device-state.allocated", perChunk, "B/chunk", 0.5, "rounds to 0");
        return figures.AllHold ? 0 : 1;
    }

    private static long CountZeroPages(ReadOnlySpan<byte> memory)
    {
        long count = 0;
        for (int at = 0; at < memory.Length; at += 4096)
            if (ZeroPage.IsZero(memory.Slice(at, 4096))) count++;
        return count;
    }

    private static void CheckCount(long count)
    {
        if (count != RamMiB * 256L) throw new InvalidOperationException($"{count} zero pages");
    }
}
