using MigrationCluster.DataPlane;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>
/// A device's whole state from one device server into another, the way a migration takes: gpu server, mc-guest, here, the
/// data plane, here, mc-guest, gpu server.
/// </summary>
internal sealed class DeviceChain(
    BenchGuest sourceGuest, BenchGuest destinationGuest, string device, BenchRam sourceRam, BenchRam destinationRam,
    TransferOptions options) : IDeviceStateSink, IAsyncDisposable
{
    private const int ReadBytes = 1 << 20; // as much as an endpoint gives at once: a read is two round trips
    private const ulong AckEveryBytes = 4 << 20; // of the 16 MiB that a guest process retains

    private readonly byte[][] _buffers =
    [
        GC.AllocateUninitializedArray<byte>(ReadBytes, pinned: true),
        GC.AllocateUninitializedArray<byte>(ReadBytes, pinned: true),
    ];

    private readonly EndpointClient _source = sourceGuest.Devices[device], _destination = destinationGuest.Devices[device];
    private BenchSession? _session;

    /// <summary>Opens a session, and puts both devices at the start of a stream.</summary>
    internal async Task PrepareAsync(CancellationToken cancellationToken)
    {
        _session = await BenchSession.OpenAsync(sourceRam, destinationRam, this, options, cancellationToken);
        await _destination.SetStateAsync(DeviceState.Resuming, cancellationToken);
        await _source.SetStateAsync(DeviceState.StopCopy, cancellationToken);
    }

    /// <summary>Sends the whole stream: the next chunk is read while the last one is sent.</summary>
    internal async Task SendAsync(CancellationToken cancellationToken)
    {
        var sender = _session!.Sender;
        ulong offset = 0, acked = 0;
        var reading = _source.ReadStreamAsync(offset, _buffers[0], cancellationToken).AsTask();
        for (int turn = 0; ; turn++)
        {
            int read = await reading;
            if (read == 0) break;
            reading = _source.ReadStreamAsync(offset + (ulong)read, _buffers[(turn + 1) % 2], cancellationToken).AsTask();
            await sender.SendDeviceAsync(0, offset, _buffers[turn % 2].AsMemory(0, read), cancellationToken);
            offset += (ulong)read;
            if (sender.AckedDeviceBytes(0) - acked < AckEveryBytes) continue;
            acked = sender.AckedDeviceBytes(0);
            await _source.AckStreamAsync(acked, cancellationToken);
        }
        var digest = await _source.GetStreamDigestAsync(cancellationToken);
        await sender.EndDeviceAsync(0, digest.Bytes, digest.Crc32C, cancellationToken);
    }

    /// <summary>Both devices to Stop: they must hold the same.</summary>
    internal async Task FinishAsync(CancellationToken cancellationToken)
    {
        await DisposeAsync();
        await _destination.SetStateAsync(DeviceState.Stop, cancellationToken);
        await _source.SetStateAsync(DeviceState.Stop, cancellationToken);
        if (await _source.GetContentDigestAsync(cancellationToken) is not { } content
            || content != await _destination.GetContentDigestAsync(cancellationToken))
            throw new InvalidOperationException("the devices differ");
    }

    public async ValueTask DisposeAsync()
    {
        if (_session is not null) await _session.DisposeAsync();
        _session = null;
    }

    public ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken) => new(new DeviceStream(device, 0, 0));

    public ValueTask WriteAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        _destination.WriteStreamAsync(offset, data, cancellationToken);

    public ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken)
    {
        var digest = await _destination.GetStreamDigestAsync(cancellationToken);
        if (digest.Bytes != bytes || digest.Crc32C != crc32C)
            throw new InvalidDataException($"the device accepted {digest}, and {bytes} bytes with CRC-32C {crc32C} were sent");
    }
}
