using System.Net;
using System.Security.Cryptography;
using MigrationCluster.DataPlane;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>One session on loopback, both sides in this process.</summary>
internal sealed class BenchSession : IAsyncDisposable
{
    private readonly BenchRam _source, _destination;
    private readonly PageBitmap _pages;
    private readonly DataPlaneListener _listener;
    private readonly TransferReceiver _receiver;

    private BenchSession(BenchRam source, BenchRam destination, DataPlaneListener listener, TransferReceiver receiver)
    {
        (_source, _destination, _listener, _receiver) = (source, destination, listener, receiver);
        _pages = new PageBitmap(source.Mapped.Layout.PageCount);
    }

    internal TransferSender Sender { get; private set; } = null!;

    internal MemoryDevices Devices { get; private set; } = null!;

    internal static async Task<BenchSession> OpenAsync(
        BenchRam source, BenchRam destination, int devices, int bytesEach, TransferOptions options,
        TransferMode mode, CancellationToken cancellationToken)
    {
        var memory = new MemoryDevices(devices, bytesEach);
        var session = await OpenAsync(source, destination, memory, devices, options, mode, cancellationToken);
        session.Devices = memory;
        return session;
    }

    /// <summary>A session for one device.</summary>
    internal static Task<BenchSession> OpenAsync(
        BenchRam source, BenchRam destination, IDeviceStateSink sink, TransferOptions options,
        CancellationToken cancellationToken) =>
        OpenAsync(source, destination, sink, devices: 1, options, TransferMode.Plain, cancellationToken);

    internal async Task SendPagesAsync(CancellationToken cancellationToken)
    {
        _pages.SetAll();
        try
        {
            await Sender.SendPagesAsync(_pages, findHoles: true, cancellationToken);
        }
        catch (TransferFailedException) when (_receiver.Failure is { } why)
        {
            throw new InvalidOperationException($"the destination: {why}");
        }
    }

    internal Task<double> AllocatedPerPageAsync(CancellationToken cancellationToken) => Measured.AllocatedByMoreAsync(
        _pages.PageCount / 2,
        () =>
        {
            _pages.SetRange(0, _pages.PageCount / 2);
            return Sender.SendPagesAsync(_pages, findHoles: true, cancellationToken);
        },
        () => SendPagesAsync(cancellationToken));

    internal Task<double> AllocatedPerChunkAsync(CancellationToken cancellationToken) => Measured.AllocatedByMoreAsync(
        3 * Devices.Chunks,
        () => Devices.SendAsync(Sender, 1, cancellationToken),
        () => Devices.SendAsync(Sender, 4, cancellationToken));

    /// <summary>What was measured must have arrived.</summary>
    internal async Task FinishAsync(CancellationToken cancellationToken)
    {
        await Devices.EndAsync(Sender, cancellationToken);
        var manifest = await Sender.FinishAsync(hashRam: false, cancellationToken);
        if ((await _receiver.Completion).Digest != manifest.Digest || !Devices.Arrived
            || !_source.GetSpan().SequenceEqual(_destination.GetSpan()))
            throw new InvalidOperationException("what was measured did not arrive");
    }

    public async ValueTask DisposeAsync()
    {
        if (Sender is not null) await Sender.DisposeAsync();
        await _receiver.DisposeAsync();
        await _listener.DisposeAsync();
    }

    private static async Task<BenchSession> OpenAsync(
        BenchRam source, BenchRam destination, IDeviceStateSink sink, int devices, TransferOptions options,
        TransferMode mode, CancellationToken cancellationToken)
    {
        var token = new SessionToken(RandomNumberGenerator.GetBytes(SessionToken.SizeBytes));
        var listener = DataPlaneListener.Start(new IPEndPoint(IPAddress.Loopback, 0), options);
        var session = new BenchSession(source, destination, listener, listener.Open(token, mode, destination.Mapped, sink, devices));
        try
        {
            session.Sender = await TransferSender.ConnectAsync(
                listener.EndPoint, token, mode, source.Mapped, devices, options, cancellationToken);
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }
}
