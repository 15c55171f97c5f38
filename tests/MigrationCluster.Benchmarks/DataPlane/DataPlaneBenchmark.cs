using MigrationCluster.DataPlane;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>Pages and device state over loopback, interleaved with a plain socket copy.</summary>
internal static class DataPlaneBenchmark
{
    private const int RamMiB = 512;
    private const int Devices = 4;
    private const int DeviceBytes = 64 << 20;
    private const int GpuMiB = 256;
    private const int WarmUps = 2;
    private const int Repetitions = 7;

    private static readonly LaunchDevice Gpu = new(
        "gpu0", "gpu", new Dictionary<string, string> { ["memory-mib"] = $"{GpuMiB}", ["dirty-rate"] = "0" }, []);

    internal static async Task<int> RunAsync(Figures figures, CancellationToken cancellationToken)
    {
        var options = TransferOptions.Default;
        int pageChannels = options.Channels - 1;
        figures.Note($"{Environment.ProcessorCount} processors; {RamMiB} MiB of random guest RAM, {pageChannels} page connections");
        figures.Note(
            "plain.copy: the same bytes over as many connections with .NET sockets alone, straight from mapping to mapping, one "
            + "CRC-32C for each 256 KiB on both sides");
        figures.Note(
            $"device-state.end-to-end: a gpu of {GpuMiB} MiB: device server, mc-guest, data plane, mc-guest, device server");
        using var source = new BenchRam(RamMiB, 1);
        using var destination = new BenchRam(RamMiB, 2);
        using var plain = await PlainCopy.ConnectAsync(pageChannels, cancellationToken);
        using var plainOne = await PlainCopy.ConnectAsync(1, cancellationToken);
        await using var session = await BenchSession.OpenAsync(source, destination, Devices, DeviceBytes, options, cancellationToken);
        await using var sourceGuest = await BenchGuest.StartAsync(incoming: false, [Gpu], cancellationToken);
        await sourceGuest.StopAsync(cancellationToken);
        await using var destinationGuest = await BenchGuest.StartAsync(incoming: true, [Gpu], cancellationToken);
        var chain = new DeviceChain(sourceGuest.Devices[Gpu.Name], destinationGuest.Devices[Gpu.Name]);

        var rates = new Dictionary<string, List<double>>();
        for (int repetition = -WarmUps; repetition < Repetitions; repetition++)
        {
            async Task MeasureAsync(string name, long bytes, Func<Task> work)
            {
                var (seconds, _) = await Measured.RunAsync(work);
                if (!rates.TryGetValue(name, out var list)) rates[name] = list = [];
                if (repetition >= 0) list.Add(bytes / seconds / 1e9);
            }

            const long ram = (long)RamMiB << 20;
            await MeasureAsync("pages", ram, () => session.SendPagesAsync(cancellationToken));
            await MeasureAsync("plain", ram, () => plain.CopyAsync(source.Memory, destination.Memory, cancellationToken));
            await MeasureAsync("devices", session.Devices.Bytes, () => session.Devices.SendAsync(session.Sender, 1, cancellationToken));
            await MeasureAsync("plain-one", ram, () => plainOne.CopyAsync(source.Memory, destination.Memory, cancellationToken));
            await using var one = await BenchSession.OpenAsync(source, destination, chain, options, cancellationToken);
            await chain.PrepareAsync(cancellationToken);
            await MeasureAsync("chain", (long)GpuMiB << 20, () => chain.SendAsync(one.Sender, cancellationToken));
            if (!await chain.FinishAsync(cancellationToken)) throw new InvalidOperationException("the gpus differ");
        }
        double perPage = await session.AllocatedPerPageAsync(cancellationToken);
        double perChunk = await session.AllocatedPerChunkAsync(cancellationToken);
        await session.FinishAsync(cancellationToken);

        double plainRate = Figures.Median(rates["plain"]);
        figures.PrintSpread("plain.copy", rates["plain"], "GB/s");
        figures.PrintSpread("plain.copy.one-connection", rates["plain-one"], "GB/s");
        figures.PrintSpread("pages.throughput", rates["pages"], "GB/s");
        figures.PrintSpread("device-state.in-memory.throughput", rates["devices"], "GB/s");
        figures.PrintSpread("device-state.end-to-end.throughput", rates["chain"], "GB/s");
        figures.AtLeast("pages.ratio-to-plain", Figures.Median(rates["pages"]) / plainRate, 0.6);
        figures.Print("device-state.in-memory.ratio-to-plain", Figures.Median(rates["devices"]) / plainRate, "ratio");
        figures.AtLeast("device-state.end-to-end.ratio-to-plain", Figures.Median(rates["chain"]) / plainRate, 0.1);
        figures.AtMost("pages.allocated", perPage, "B/page", 0.5, "rounds to 0");
        figures.AtMost("device-state.allocated", perChunk, "B/chunk", 0.5, "rounds to 0");
        return figures.AllHold ? 0 : 1;
    }
}
