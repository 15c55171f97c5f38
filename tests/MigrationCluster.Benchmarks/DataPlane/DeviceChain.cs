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
    private readonly StreamBuffer _buffer = StreamBuffer.Create(StreamReading.BufferBytes);
    private readonly EndpointClient _source = sourceGuest.Devices[device], _destination = destinationGuest.Devices[device];
    private BenchSession? _session;

    /// <summary>Opens a session, and puts both devices at the start of a stream.</summary>
    internal async Task PrepareAsync(CancellationToken cancellationToken)
    {
        _session = await BenchSession.OpenAsync(sourceRam, destinationRam, this, options, cancellationToken);
        await _destination.SetStateAsync(DeviceState.Resuming, cancellationToken);
        await _source.SetStateAsync(DeviceState.StopCopy, cancellationToken);
    }

    /// <summary>Sends the whole stream: the next chunks are read while the last one is sent.</summary>
    internal async Task SendAsync(CancellationToken cancellationToken)
    {
        var sender = _session!.Sender;
        await using (var reading = new StreamReading(_source, 0, _buffer, cancellationToken))
        {
            while (await reading.NextAsync() is { Data.IsEmpty: false } chunk)
            {
                await sender.SendDeviceAsync(0, chunk.Offset, chunk.Data, cancellationToken);
                await reading.ReleaseAsync(sender.AckedDeviceBytes(0));
            }
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

    public Memory<byte> NewBuffer(int sizeBytes) => StreamBuffer.Create(sizeBytes).Memory;

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
