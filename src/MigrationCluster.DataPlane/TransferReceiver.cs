using System.Net.Sockets;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.DataPlane.Receiving;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane;

/// <summary>
/// The destination's side of one transfer session, opened by <see cref="DataPlaneListener.Open"/>: takes connections that
/// know its token, puts pages into guest RAM and device state into a sink.
/// </summary>
/// <remarks>
/// One link at a time. A link that is lost leaves what it brought, and the session waits for the next one, which begins only when
/// nothing of the one before can touch RAM or devices any more. Any other failure, or no link for too long, ends the session.
/// </remarks>
public sealed class TransferReceiver : IAsyncDisposable
{
    private static readonly TimeSpan SourceCloses = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _opening = new(1, 1);
    private readonly SessionShape _shape;
    private readonly MappedGuestRam _ram;
    private readonly IDeviceStateSink _sink;
    private readonly TransferOptions _options;
    private readonly bool _complete;
    private readonly Action<TransferReceiver> _disposed;
    private readonly TransferMeter _meter;
    private readonly Timer _patience;
    private readonly TaskCompletionSource<TransferManifest> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TransferFailedException? _failure;
    private ReceiveLink? _link;
    private ushort _links;
    private bool _closed;

    internal TransferReceiver(
        MappedGuestRam ram, IDeviceStateSink sink, int deviceCount, TransferOptions options, bool complete, Action<TransferReceiver> disposed)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(deviceCount, DataPlaneWire.MaxDevices);
        _shape = new SessionShape((ulong)ram.Layout.PageCount, (uint)deviceCount);
        (_ram, _sink, _options, _complete, _disposed) = (ram, sink, options, complete, disposed);
        _meter = new TransferMeter(ram.Ledger);
        _patience = new Timer(_ => Fail(new TransferFailedException(
            TransferFailureReason.ConnectionLost, $"no connection of the source for {options.ReconnectLimit.TotalSeconds:0.#} s")));
    }

    /// <summary>Ends with the manifest both sides agree upon, or with <see cref="TransferFailedException"/>: the first reason.</summary>
    public Task<TransferManifest> Completion => _completion.Task;

    public TransferCounters Counters => _meter.Read();

    /// <summary>Why the session ended, or is about to end; null while it lives.</summary>
    public TransferFailedException? Failure
    {
        get
        {
            lock (_lock)
                return _failure ?? (_link?.Failure is { } broken && !_completion.Task.IsCompletedSuccessfully && EndsSession(broken) ? broken : null);
        }
    }

    /// <summary>The source is connected.</summary>
    public bool IsConnected
    {
        get { lock (_lock) return _link is { Failure: null }; }
    }

    /// <summary>From now on the source has only so long to connect: it was connected before this daemon's life.</summary>
    public void ExpectLink() => _patience.Change(_options.ReconnectLimit, Timeout.InfiniteTimeSpan);

    /// <summary>Ends the session and closes its connections. After it nothing of this session touches guest RAM or the
    /// sink, and its token is forgotten.</summary>
    public async ValueTask DisposeAsync()
    {
        ReceiveLink? link;
        lock (_lock)
        {
            if (_closed) return;
            _closed = true;
            link = _link;
        }
        _disposed(this);
        await _patience.DisposeAsync();
        // After an agreed manifest the source closes; giving it time means that it has read the verdict.
        if (link is not null && _completion.Task.IsCompletedSuccessfully)
            await Task.WhenAny(link.Ended, Task.Delay(SourceCloses, CancellationToken.None));
        const string why = "the destination closed the session";
        Fail(new TransferFailedException(TransferFailureReason.Cancelled, why));
        link?.Break(TransferFailureReason.Cancelled, why);
        await _opening.WaitAsync(); // for a link that is just being opened: it finds the session closed
        _opening.Dispose();
        if (link is not null)
        {
            await link.Ended;
            link.Dispose();
        }

        _meter.Close();
    }

    /// <summary>
    /// Answers a hello. On channel 0 it opens a link: the one before is closed, and nothing of it is under way any more when the
    /// devices are asked where they stand.
    /// </summary>
    internal async Task<(ChannelStatus Status, ReceiveLink? Link, LinkStanding? Standing)> AdmitAsync(
        ChannelHello hello, CancellationToken cancellationToken)
    {
        if (hello.Shape != _shape) return (ChannelStatus.WrongShape, null, null);
        if (hello.Channel > 0)
        {
            lock (_lock)
                return _closed || _failure is not null ? (ChannelStatus.UnknownSession, null, null)
                    : _link?.Reserve(hello) == true ? (ChannelStatus.Accepted, _link, null)
                    : (ChannelStatus.WrongChannel, null, null);
        }
        try
        {
            await _opening.WaitAsync(cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            return (ChannelStatus.UnknownSession, null, null);
        }
        try
        {
            if (_link is { } old)
            {
                old.Break(TransferFailureReason.ConnectionLost, "the source opened new connections");
                await old.Ended.WaitAsync(cancellationToken);
                old.Dispose();
            }
            if (IsOver) return (ChannelStatus.UnknownSession, null, null);
            var streams = await Task.WhenAll(Enumerable.Range(0, (int)_shape.DeviceCount).Select(
                device => _sink.GetAcceptedAsync(device, cancellationToken).AsTask()));
            return OpenLink(hello, streams);
        }
        finally
        {
            _opening.Release();
        }
    }

    private bool IsOver
    {
        get { lock (_lock) return _closed || _failure is not null; }
    }

    private (ChannelStatus, ReceiveLink?, LinkStanding?) OpenLink(in ChannelHello hello, IReadOnlyList<DeviceStream> streams)
    {
        lock (_lock)
        {
            if (_closed || _failure is not null) return (ChannelStatus.UnknownSession, null, null);
            _links = (ushort)(_links % ushort.MaxValue + 1);
            var standing = new LinkStanding(_ram.Ledger.Incarnation, _links, streams);
            var link = new ReceiveLink(
                standing, hello.Channels, _shape, _ram, _sink, _meter, frozen: _complete || _completion.Task.IsCompletedSuccessfully,
                manifest => _completion.TrySetResult(manifest));
            _link = link;
            _patience.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _ = WatchAsync(link);
            return (ChannelStatus.Accepted, link, standing);
        }
    }

    /// <summary>A link that was lost is waited for; anything else that ends one ends the session. Never faults.</summary>
    private async Task WatchAsync(ReceiveLink link)
    {
        await link.Ended;
        if (_completion.Task.IsCompletedSuccessfully) return;
        var failure = link.Failure!;
        if (EndsSession(failure))
        {
            Fail(failure);
            return;
        }
        lock (_lock)
            if (!_closed && _link == link) ExpectLink();
    }

    private bool EndsSession(TransferFailedException failure) => !failure.MayResume || _options.ReconnectLimit <= TimeSpan.Zero;

    private void Fail(TransferFailedException failure)
    {
        lock (_lock) _failure ??= failure;
        _completion.TrySetException(new TransferFailedException(failure.Reason, failure.Message, failure));
        _ = _completion.Task.Exception;
    }
}
