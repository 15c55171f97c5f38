using MigrationCluster.DataPlane;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>
/// Device state's way, hop by hop, beside pages over the same data plane:
/// device server -> mc-guest -> here -> network -> here -> mc-guest -> device server.
/// </summary>
internal static class HopBenchmark
{
    private const int RamMiB = 256;
    private const int GpuMiB = 256;
    private const int MemoryDeviceBytes = 64 << 20;
    private const int ReadBytes = 2 << 20;
    private const int WarmUps = 1;
    private const int Rounds = 10;

    private const string Pages = "pages, daemon to daemon";
    private const string ReadDirect = "device server to its client";
    private const string ReadRelayed = "device server, mc-guest, daemon";
    private const string Network = "daemon to daemon, 4 devices in memory";
    private const string WriteRelayed = "daemon, mc-guest, device server";
    private const string WriteLarger = "daemon, mc-guest, device server, by 2 MiB";
    private const string WriteDirect = "a client to the device server";
    private const string EndToEnd = "end to end";

    private static readonly LaunchDevice Gpu = new(
        "gpu0", "gpu", new Dictionary<string, string> { ["memory-mib"] = $"{GpuMiB}", ["dirty-rate"] = "0" }, []);

    internal static async Task<int> RunAsync(TextWriter output, Figures figures, CancellationToken cancellationToken)
    {
        figures.Note($"{Environment.ProcessorCount} processors; a gpu of {GpuMiB} MiB; {Rounds} rounds, medians; CPU-seconds of all processes");
        using var source = new BenchRam(RamMiB, 1);
        using var destination = new BenchRam(RamMiB, 2);
        var options = TransferOptions.Default;
        await using var session = await BenchSession.OpenAsync(source, destination, 4, MemoryDeviceBytes, options, TransferMode.Plain, cancellationToken);
        await using var sourceGuest = await BenchGuest.StartAsync(incoming: false, [Gpu], cancellationToken);
        await sourceGuest.StopAsync(cancellationToken);
        await using var destinationGuest = await BenchGuest.StartAsync(incoming: true, [Gpu], cancellationToken);
        await using var chain = new DeviceChain(sourceGuest, destinationGuest, Gpu.Name, source, destination, options);
        var (from, to) = (sourceGuest.Devices[Gpu.Name], destinationGuest.Devices[Gpu.Name]);

        var buffer = StreamBuffer.Create(StreamReading.BufferBytes);
        await from.SetStateAsync(DeviceState.StopCopy, cancellationToken);
        byte[] stream = await CaptureAsync(from, buffer, cancellationToken);
        await from.SetStateAsync(DeviceState.Stop, cancellationToken);
        await using var direct = await DirectGpu.StartAsync(GpuMiB, stream, cancellationToken);

        var contest = new Contest();
        contest.Add(Pages, (long)RamMiB << 20, () => session.SendPagesAsync(cancellationToken));
        contest.Add(
            ReadDirect, stream.Length, () => direct.ReadAsync(cancellationToken),
            () => direct.MoveAsync(DeviceState.StopCopy, cancellationToken), () => direct.MoveAsync(DeviceState.Stop, cancellationToken),
            () => direct.CpuTime);
        contest.Add(
            ReadRelayed, stream.Length, () => CaptureAsync(from, buffer, cancellationToken, keep: false),
            () => from.SetStateAsync(DeviceState.StopCopy, cancellationToken).AsTask(),
            () => from.SetStateAsync(DeviceState.Stop, cancellationToken).AsTask(), () => sourceGuest.CpuTime);
        contest.Add(Network, session.Devices.Bytes, () => session.Devices.SendAsync(session.Sender, 1, cancellationToken));
        foreach (var (name, size) in new[] { (WriteRelayed, DataPlaneWire.MaxDeviceChunkBytes), (WriteLarger, ReadBytes) })
            contest.Add(
                name, stream.Length, () => WriteAsync(to, buffer, stream, size, cancellationToken),
                () => to.SetStateAsync(DeviceState.Resuming, cancellationToken).AsTask(),
                () => to.SetStateAsync(DeviceState.Stop, cancellationToken).AsTask(), () => destinationGuest.CpuTime);
        contest.Add(
            WriteDirect, stream.Length, () => direct.WriteAsync(stream, cancellationToken),
            () => direct.MoveAsync(DeviceState.Resuming, cancellationToken), () => direct.MoveAsync(DeviceState.Stop, cancellationToken),
            () => direct.CpuTime);
        contest.Add(
            EndToEnd, stream.Length, () => chain.SendAsync(cancellationToken), () => chain.PrepareAsync(cancellationToken),
            () => chain.FinishAsync(cancellationToken), () => sourceGuest.CpuTime + destinationGuest.CpuTime);
        await contest.RunAsync(WarmUps, Rounds, cancellationToken);
        contest.Print(output);
        foreach (string hop in (string[])[ReadDirect, ReadRelayed, Network, WriteRelayed, WriteLarger, WriteDirect])
            figures.Print($"{hop}, to pages", contest.Ratio(hop, Pages), "ratio");
        figures.AtLeast($"{EndToEnd}, to pages", contest.Ratio(EndToEnd, Pages), 0.3);
        return figures.AllHold ? 0 : 1;
    }

    /// <summary>Reads the whole stream as a daemon does.</summary>
    private static async Task<byte[]> CaptureAsync(EndpointClient device, StreamBuffer buffer, CancellationToken cancellationToken, bool keep = true)
    {
        using var all = new MemoryStream(keep ? (GpuMiB << 20) + ReadBytes : 0);
        await using var reading = new StreamReading(device, 0, buffer, cancellationToken);
        while (await reading.NextAsync() is { Data.IsEmpty: false } chunk)
        {
            if (keep) all.Write(chunk.Data.Span);
            await reading.ReleaseAsync(chunk.Offset + (ulong)chunk.Data.Length);
        }
        return all.ToArray();
    }

    /// <summary>Writes it as a daemon does: what has come is copied to where the device takes it from.</summary>
    private static async Task WriteAsync(EndpointClient device, StreamBuffer buffer, byte[] stream, int size, CancellationToken cancellationToken)
    {
        for (int at = 0; at < stream.Length; at += size)
        {
            var part = buffer.Memory[..Math.Min(size, stream.Length - at)];
            stream.AsSpan(at, part.Length).CopyTo(part.Span);
            await device.WriteStreamAsync((ulong)at, part, cancellationToken);
        }
    }
}
