using MigrationCluster.DataPlane;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>Device state from memory into memory: what the data plane itself costs, without devices.</summary>
internal sealed class MemoryDevices : IDeviceStateSink
{
    private const int ChunkBytes = 256 * 1024;

    private readonly byte[][] _source, _destination;
    private readonly ulong[] _start;
    private readonly uint[] _crc;

    internal MemoryDevices(int devices, int bytesEach)
    {
        _source = [.. Enumerable.Range(0, devices).Select(_ => GC.AllocateUninitializedArray<byte>(bytesEach, pinned: true))];
        _destination = [.. Enumerable.Range(0, devices).Select(_ => GC.AllocateUninitializedArray<byte>(bytesEach, pinned: true))];
        foreach (byte[] stream in _source) new Random(7).NextBytes(stream);
        _start = new ulong[devices];
        _crc = new uint[devices];
    }

    internal long Bytes => _source.Sum(stream => (long)stream.Length);

    internal int Count => _source.Length;

    internal long Chunks => Bytes / ChunkBytes;

    internal bool Arrived => _source.Zip(_destination).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

    /// <summary>Sends every device's bytes some times more, side by side, until all of them were accepted.</summary>
    internal Task SendAsync(TransferSender sender, int times, CancellationToken cancellationToken) => Task.WhenAll(
        Enumerable.Range(0, Count).Select(
            device => Task.Run(() => SendAsync(sender, device, times, cancellationToken), cancellationToken)));

    private async Task SendAsync(TransferSender sender, int device, int times, CancellationToken cancellationToken)
    {
        byte[] stream = _source[device];
        for (int at = 0; at < times * stream.Length; at += ChunkBytes)
        {
            await sender.SendDeviceAsync(
                device, _start[device], stream.AsMemory(at % stream.Length, ChunkBytes), cancellationToken);
            _start[device] += ChunkBytes;
        }
        while (sender.AckedDeviceBytes(device) < _start[device]) await Task.Yield();
    }

    internal async Task EndAsync(TransferSender sender, CancellationToken cancellationToken)
    {
        for (int device = 0; device < Count; device++)
            await sender.EndDeviceAsync(device, _start[device], _crc[device], cancellationToken);
    }

    public ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken) => new(new DeviceStream(device, 0, 0));

    public ValueTask WriteAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        var stream = _destination[device];
        data.Span.CopyTo(stream.AsSpan((int)(offset % (ulong)stream.Length)));
        _crc[device] = Crc32C.Combine(_crc[device], Crc32C.Compute(data.Span), (ulong)data.Length);
        return ValueTask.CompletedTask;
    }

    public ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken) =>
        ValueTask.CompletedTask;
}
