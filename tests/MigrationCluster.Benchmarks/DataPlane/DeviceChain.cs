using MigrationCluster.DataPlane;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>
/// A device's whole state from one device server into another, the way a migration takes: gpu server, mc-guest, here, the
/// data plane, here, mc-guest, gpu server.
/// </summary>
internal sealed class DeviceChain(EndpointClient source, EndpointClient destination) : IDeviceStateSink
{
    private const int ReadBytes = 1 << 20; // as much as an endpoint gives at once: a read is two round trips
    private const ulong AckEveryBytes = 4 << 20; // of the 16 MiB that a guest process retains

    private readonly byte[][] _buffers =
    [
        GC.AllocateUninitializedArray<byte>(ReadBytes, pinned: true),
        GC.AllocateUninitializedArray<byte>(ReadBytes, pinned: true),
    ];

    /// <summary>Puts both devices at the start of a stream.</summary>
    internal async Task PrepareAsync(CancellationToken cancellationToken)
    {
        await destination.SetStateAsync(DeviceState.Resuming, cancellationToken);
        await source.SetStateAsync(DeviceState.StopCopy, cancellationToken);
    }

    /// <summary>Sends the whole stream: the next chunk is read while the last one is sent.</summary>
    /// <returns>its length in bytes.</returns>
    internal async Task<long> SendAsync(TransferSender sender, CancellationToken cancellationToken)
    {
        ulong offset = 0, acked = 0;
        var reading = source.ReadStreamAsync(offset, _buffers[0], cancellationToken).AsTask();
        for (int turn = 0; ; turn++)
        {
            int read = await reading;
            if (read == 0) break;
            reading = source.ReadStreamAsync(offset + (ulong)read, _buffers[(turn + 1) % 2], cancellationToken).AsTask();
            for (int at = 0, count; at < read; at += count, offset += (ulong)count)
            {
                count = Math.Min(read - at, DataPlaneWire.MaxDeviceChunkBytes);
                await sender.SendDeviceAsync(0, offset, _buffers[turn % 2].AsMemory(at, count), cancellationToken);
            }
            if (sender.AckedDeviceBytes(0) - acked < AckEveryBytes) continue;
            acked = sender.AckedDeviceBytes(0);
            await source.AckStreamAsync(acked, cancellationToken);
        }
        var digest = await source.GetStreamDigestAsync(cancellationToken);
        await sender.EndDeviceAsync(0, digest.Bytes, digest.Crc32C, cancellationToken);
        return (long)offset;
    }

    /// <summary>Both devices to Stop.</summary>
    /// <returns>whether they hold the same.</returns>
    internal async Task<bool> FinishAsync(CancellationToken cancellationToken)
    {
        await destination.SetStateAsync(DeviceState.Stop, cancellationToken);
        await source.SetStateAsync(DeviceState.Stop, cancellationToken);
        return await source.GetContentDigestAsync(cancellationToken) is { } content
            && content == await destination.GetContentDigestAsync(cancellationToken);
    }

    public ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken) => new(new DeviceStream(device, 0, 0));

    public ValueTask WriteAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        destination.WriteStreamAsync(offset, data, cancellationToken);

    public ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken)
    {
        var digest = await destination.GetStreamDigestAsync(cancellationToken);
        if (digest.Bytes != bytes || digest.Crc32C != crc32C)
            throw new InvalidDataException($"the device accepted {digest}, and {bytes} bytes with CRC-32C {crc32C} were sent");
    }
}
