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
public sealed class TransferReceiver : IAsyncDisposable
{
    private static readonly TimeSpan SourceCloses = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly SessionShape _shape;
    private readonly MappedGuestRam _ram;
    private readonly Action<TransferReceiver> _disposed;
    private readonly BreakFunnel _funnel = new();
    private readonly TransferMeter _meter = new();
    private readonly DeviceInbox[] _inboxes;
    private readonly List<Task> _channels = [];
    private readonly List<PageSink> _pageSinks = [];
    private readonly HashSet<int> _reserved = [];
    private readonly TaskCompletionSource<TransferManifest> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _devices = Task.CompletedTask;
    private int _channelCount;
    private bool _closed;

    internal TransferReceiver(
        MappedGuestRam ram, IDeviceStateSink sink, int deviceCount, Action<TransferReceiver> disposed)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(deviceCount, DataPlaneWire.MaxDevices);
        _shape = new SessionShape((ulong)ram.Layout.PageCount, (uint)deviceCount);
        _ram = ram;
        _disposed = disposed;
        _inboxes = [.. Enumerable.Range(0, deviceCount).Select(device => new DeviceInbox(device, sink, _funnel, _meter))];
        _funnel.Stopping.UnsafeRegister(static receiver => ((TransferReceiver)receiver!).FailCompletion(), this);
    }

    /// <summary>Ends with the manifest both sides agree upon, or with <see cref="TransferFailedException"/>: the first reason.</summary>
    public Task<TransferManifest> Completion => _completion.Task;

    public TransferCounters Counters => _meter.Read();

    /// <summary>Why the session ended; null while it lives.</summary>
    public TransferFailedException? Failure => _funnel.Failure;

    /// <summary>Ends the session and closes its connections. After it nothing of this session touches guest RAM or the
    /// sink, and its token is forgotten.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_closed) return;
            _closed = true;
        }
        _disposed(this);
        // After an agreed manifest the source closes; giving it time means that it has read the verdict.
        if (_completion.Task.IsCompletedSuccessfully)
            await Task.WhenAny(Task.WhenAll(_channels), Task.Delay(SourceCloses, CancellationToken.None));
        _funnel.Break(TransferFailureReason.Cancelled, "the destination closed the session");
        await Task.WhenAll(_channels);
        await _devices;
        _funnel.Dispose();
    }

    /// <summary>Whether a connection may become a channel of this session; then it is taken.</summary>
    internal ChannelStatus Reserve(in ChannelHello hello)
    {
        lock (_lock)
        {
            if (_closed || _funnel.Failure is not null) return ChannelStatus.UnknownSession;
            if (hello.Shape != _shape) return ChannelStatus.WrongShape;
            if (_channelCount == 0) _channelCount = hello.Channels;
            return hello.Channels == _channelCount && _reserved.Add(hello.Channel)
                ? ChannelStatus.Accepted
                : ChannelStatus.WrongChannel;
        }
    }

    /// <summary>Starts a channel that was reserved and welcomed; owns the socket from here on.</summary>
    internal void Start(int number, Socket socket)
    {
        lock (_lock)
        {
            if (_closed)
            {
                socket.Dispose();
                return;
            }
            if (number == 0)
            {
                var channel = new ReceiveChannel(number, socket, _shape, _funnel, _meter, HandleDeviceFrame, IsComplete);
                _devices = Task.WhenAll(_inboxes.Select(inbox => inbox.RunAsync((sequence, bytes) => AckDevice(channel, sequence, bytes))));
                _channels.Add(channel.RunAsync());
                return;
            }
            var sink = new PageSink(_ram, _meter);
            _pageSinks.Add(sink);
            _channels.Add(new ReceiveChannel(
                number, socket, _shape, _funnel, _meter,
                (ReceiveChannel from, in FrameHeader header, ReadOnlySpan<byte> payload) => HandlePages(sink, from, header, payload),
                IsComplete).RunAsync());
        }
    }

    /// <summary>A reserved channel that could not be welcomed.</summary>
    internal void Lose(int number, Exception exception) => _funnel.Break(exception, $"connection {number}");

    private bool IsComplete() => _completion.Task.IsCompletedSuccessfully;

    private AsyncSignal? HandlePages(PageSink sink, ReceiveChannel channel, in FrameHeader header, ReadOnlySpan<byte> payload)
    {
        long bytes = sink.Take(header, payload);
        channel.Acks.Add(header.Sequence, bytes);
        _meter.AddAcked(bytes);
        return null;
    }

    private AsyncSignal? HandleDeviceFrame(ReceiveChannel channel, in FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.Kind != FrameKind.Manifest)
        {
            var inbox = _inboxes[header.Device];
            return inbox.TryPost(header, payload) ? null : inbox.Emptied;
        }
        if (!Checks.Matches(payload))
            throw new TransferFailedException(TransferFailureReason.BadFrame, "the manifest does not match its CRC-32C");
        Compare(channel, TransferManifest.TryRead(payload[sizeof(uint)..])
            ?? throw new TransferFailedException(TransferFailureReason.BadFrame, "the manifest is malformed"));
        return null;
    }

    /// <summary>What arrived is frozen first: nothing may change after it was agreed upon.</summary>
    private void Compare(ReceiveChannel channel, TransferManifest theirs)
    {
        lock (_lock)
            foreach (var sink in _pageSinks) sink.Seal();
        var own = new TransferManifest(
            _ram.DigestOfPages(), [.. _inboxes.Where(inbox => inbox.Ended is not null).Select(inbox => inbox.Ended!.Value)]);
        if (own.Devices.Count != _inboxes.Length)
            throw new TransferFailedException(
                TransferFailureReason.ManifestDisagrees, $"{own.Devices.Count} of {_inboxes.Length} device streams have ended");
        if (own.DifferenceFrom(theirs) is { } difference)
            throw new TransferFailedException(
                TransferFailureReason.ManifestDisagrees, $"the destination holds something else than was sent: {difference}");
        _completion.TrySetResult(own);
        channel.Acks.PostVerdict(own);
    }

    private void AckDevice(ReceiveChannel channel, ulong sequence, long bytes)
    {
        channel.Acks.Add(sequence, bytes);
        channel.Acks.Flush();
        _meter.AddAcked(bytes);
    }

    private void FailCompletion()
    {
        var failure = _funnel.Failure!;
        _completion.TrySetException(new TransferFailedException(failure.Reason, failure.Message, failure));
        _ = _completion.Task.Exception;
    }
}
