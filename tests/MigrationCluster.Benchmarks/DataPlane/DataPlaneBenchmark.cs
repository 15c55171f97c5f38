using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using MigrationCluster.DataPlane;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>Pages and device state over loopback, interleaved with a plain socket copy.</summary>
internal static class DataPlaneBenchmark
{
    private const int RamMiB = 512;
    private const int Devices = 4;
    private const int DeviceBytes = 64 << 20;
    private const int Repetitions = 7;

    internal static async Task<int> RunAsync(Figures figures, CancellationToken cancellationToken)
    {
        var options = TransferOptions.Default;
        int pageChannels = options.Channels - 1;
        figures.Note($"{Environment.ProcessorCount} processors; {RamMiB} MiB of random guest RAM, {pageChannels} page connections");
        figures.Note(
            "plain: the same bytes over as many connections with .NET sockets, straight from mapping to mapping, one CRC-32C for "
            + "each 256 KiB on both sides");
        using var source = new BenchRam(RamMiB, 1);
        using var destination = new BenchRam(RamMiB, 2);
        var devices = new MemoryDevices(Devices, DeviceBytes);
        using var plain = await PlainCopy.ConnectAsync(pageChannels, cancellationToken);
        using var plainOne = await PlainCopy.ConnectAsync(1, cancellationToken);
        var token = new SessionToken(RandomNumberGenerator.GetBytes(SessionToken.SizeBytes));
        await using var listener = DataPlaneListener.Start(new IPEndPoint(IPAddress.Loopback, 0), options);
        await using var receiver = listener.Open(token, destination.Mapped, devices, Devices);
        await using var sender = await TransferSender.ConnectAsync(
            listener.EndPoint, token, source.Mapped, Devices, options, cancellationToken);
        var pages = new PageBitmap(source.Mapped.Layout.PageCount);

        var pageRates = new List<double>();
        var plainRates = new List<double>();
        var deviceRates = new List<double>();
        var plainOneRates = new List<double>();
        for (int repetition = -2; repetition < Repetitions; repetition++) // two rounds to warm up
        {
            pages.SetAll();
            var (seconds, _) = await MeasureAsync(() => sender.SendPagesAsync(pages, findHoles: true, cancellationToken));
            if (repetition >= 0) pageRates.Add((RamMiB << 20) / seconds / 1e9);
            (seconds, _) = await MeasureAsync(() => plain.CopyAsync(source.Memory, destination.Memory, cancellationToken));
            if (repetition >= 0) plainRates.Add((RamMiB << 20) / seconds / 1e9);
            (seconds, _) = await MeasureAsync(() => devices.SendAsync(sender, 1, cancellationToken));
            if (repetition >= 0) deviceRates.Add(devices.Bytes / seconds / 1e9);
            (seconds, _) = await MeasureAsync(() => plainOne.CopyAsync(source.Memory, destination.Memory, cancellationToken));
            if (repetition >= 0) plainOneRates.Add((RamMiB << 20) / seconds / 1e9);
        }
        double pageAllocation = await AllocatedByMoreAsync(
            pages.PageCount / 2,
            () => { pages.SetRange(0, pages.PageCount / 2); return sender.SendPagesAsync(pages, false, cancellationToken); },
            () => { pages.SetAll(); return sender.SendPagesAsync(pages, false, cancellationToken); });
        double chunkAllocation = await AllocatedByMoreAsync(
            3 * devices.Chunks,
            () => devices.SendAsync(sender, 1, cancellationToken),
            () => devices.SendAsync(sender, 4, cancellationToken));
        await devices.EndAsync(sender, cancellationToken);
        var manifest = await sender.FinishAsync(cancellationToken);
        if ((await receiver.Completion).Digest != manifest.Digest || !devices.Arrived
            || !source.GetSpan().SequenceEqual(destination.GetSpan()))
            throw new InvalidOperationException("what was measured did not arrive");

        figures.PrintSpread("plain.copy", plainRates, "GB/s");
        figures.PrintSpread("plain.copy.one-connection", plainOneRates, "GB/s");
        figures.PrintSpread("pages.throughput", pageRates, "GB/s");
        figures.PrintSpread("device-state.in-memory.throughput", deviceRates, "GB/s");
        figures.AtLeast("pages.ratio-to-plain", Figures.Median(pageRates) / Figures.Median(plainRates), 0.6);
        figures.Print("device-state.in-memory.ratio-to-plain", Figures.Median(deviceRates) / Figures.Median(plainRates), "ratio");
        figures.AtMost("pages.allocated", pageAllocation, "B/page", 0.5, "rounds to 0");
        figures.AtMost("device-state.allocated", chunkAllocation, "B/chunk", 0.5, "rounds to 0");
        return figures.AllHold ? 0 : 1;
    }

    /// <summary>
    /// What each further page or chunk of one call allocates: a call itself has its tasks, whatever it moves. The least
    /// of several tries, because the runtime's own threads allocate too.
    /// </summary>
    private static async Task<double> AllocatedByMoreAsync(long more, Func<Task> few, Func<Task> many)
    {
        long ofFew = long.MaxValue, ofMany = long.MaxValue;
        for (int i = 0; i < 5; i++)
        {
            ofFew = Math.Min(ofFew, (await MeasureAsync(few)).AllocatedBytes);
            ofMany = Math.Min(ofMany, (await MeasureAsync(many)).AllocatedBytes);
        }
        return Math.Max(0, ofMany - ofFew) / (double)more;
    }

    private static async Task<(double Seconds, long AllocatedBytes)> MeasureAsync(Func<Task> work)
    {
        GC.Collect();
        long before = GC.GetTotalAllocatedBytes(precise: true);
        long start = Stopwatch.GetTimestamp();
        await work();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return (seconds, GC.GetTotalAllocatedBytes(precise: true) - before);
    }
}
