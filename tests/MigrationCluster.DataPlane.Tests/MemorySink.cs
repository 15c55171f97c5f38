using System.Collections.Concurrent;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Keeps what every device got. A gate, if given, must let each write pass.</summary>
internal sealed class MemorySink(Func<int, Task>? gate = null) : IDeviceStateSink
{
    private readonly ConcurrentDictionary<int, MemoryStream> _streams = new();

    internal ConcurrentDictionary<int, (ulong Bytes, uint Crc32C)> Ended { get; } = new();

    internal ConcurrentDictionary<int, long> InitialBytes { get; } = new();

    internal byte[] StreamOf(int device)
    {
        var stream = _streams.GetOrAdd(device, _ => new MemoryStream());
        lock (stream) return stream.ToArray();
    }

    public ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken)
    {
        byte[] stream = StreamOf(device);
        return new(new DeviceStream(device, (ulong)stream.Length, Crc32C.Compute(stream)));
    }

    public async ValueTask WriteAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        if (gate is not null) await gate(device).WaitAsync(cancellationToken);
        var stream = _streams.GetOrAdd(device, _ => new MemoryStream());
        lock (stream)
        {
            if ((ulong)stream.Length != offset) throw new InvalidOperationException($"gap at {offset}");
            stream.Write(data.Span);
        }
    }

    public ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken)
    {
        InitialBytes[device] = StreamOf(device).Length;
        return ValueTask.CompletedTask;
    }

    public ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken)
    {
        Ended[device] = (bytes, crc32C);
        return ValueTask.CompletedTask;
    }
}
