using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Receiving;

/// <summary>
/// One set of connections of a session, from its first hello to the end of all of them. Frames belong to the link that their connection
/// was welcomed to, so what an earlier link still had under way can never be taken for the next one's.
/// </summary>
internal sealed class ReceiveLink : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ushort _number;
    private readonly int _channelCount;
    private readonly SessionShape _shape;
    private readonly MappedGuestRam _ram;
    private readonly TransferMeter _meter;
    private readonly Action<TransferManifest> _agreed;
    private readonly BreakFunnel _funnel = new();
    private readonly DeviceInbox[] _inboxes;
    private readonly List<PageSink> _pageSinks = [];
    private readonly HashSet<int> _reserved = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _devices = Task.CompletedTask;
    private int _running;
    private bool _frozen, _agreedUpon;

    /// <param name="standing">where each device's stream stands on the device.</param>
    /// <param name="frozen">a manifest was agreed upon over an earlier link: pages are refused, and the verdict is given again.</param>
    /// <param name="agreed">called with the manifest that both sides agree upon.</param>
    internal ReceiveLink(
        LinkStanding standing, int channelCount, SessionShape shape, MappedGuestRam ram, IDeviceStateSink sink, TransferMeter meter,
        bool frozen, Action<TransferManifest> agreed)
    {
        (_number, _channelCount, _shape, _ram, _meter) = (standing.Link, channelCount, shape, ram, meter);
        (_frozen, _agreedUpon, _agreed) = (frozen, false, agreed);
        _inboxes = [.. standing.Devices.Select(stream => new DeviceInbox(stream, sink, _funnel, meter))];
        _reserved.Add(0);
    }

    internal ushort Number => _number;

    /// <summary>Why it ended; null while it lives.</summary>
    internal TransferFailedException? Failure => _funnel.Failure;

    /// <summary>Ends when none of its connections is open and nothing of it touches guest RAM or the sink any more.</summary>
    internal Task Ended => _ended.Task;

    /// <summary>Whether a further connection may become one of its channels; then it is taken.</summary>
    internal bool Reserve(in ChannelHello hello)
    {
        lock (_lock)
            return _funnel.Failure is null && hello.Link == _number && hello.Channels == _channelCount && _reserved.Add(hello.Channel);
    }

    /// <summary>Starts a channel that was reserved and welcomed; owns the connection from here on.</summary>
    internal void Start(int number, Connection connection)
    {
        lock (_lock)
        {
            if (_funnel.Failure is not null)
            {
                connection.Dispose();
                return;
            }
            _running++;
            if (number == 0)
            {
                var channel = new ReceiveChannel(number, connection, _shape, _funnel, _meter, HandleDeviceFrame, IsComplete);
                _devices = Task.WhenAll(_inboxes.Select(inbox => inbox.RunAsync((sequence, bytes) => Acknowledge(channel, sequence, bytes), channel.Acks.Flush)));
                Run(channel);
                return;
            }
            var sink = new PageSink(_ram, _meter);
            if (_frozen) sink.Seal();
            _pageSinks.Add(sink);
            Run(new ReceiveChannel(
                number, connection, _shape, _funnel, _meter,
                (ReceiveChannel from, in FrameHeader header, ReadOnlySpan<byte> payload) => HandlePages(sink, from, header, payload),
                IsComplete));
        }
    }

    /// <summary>Ends it: with the first reason, closes its connections.</summary>
    internal void Break(TransferFailureReason reason, string message)
    {
        _funnel.Break(reason, message);
        EndIfIdle();
    }

    /// <summary>A reserved channel that could not be welcomed.</summary>
    internal void Lose(int number, Exception exception)
    {
        _funnel.Break(exception, $"connection {number}");
        EndIfIdle();
    }

    /// <summary>After <see cref="Ended"/>.</summary>
    public void Dispose() => _funnel.Dispose();

    private void Run(ReceiveChannel channel) => _ = Task.Factory.StartNew(
        () =>
        {
            channel.Run();
            lock (_lock) _running--;
            EndIfIdle();
        },
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private void EndIfIdle()
    {
        lock (_lock)
            if (_running > 0 || (_funnel.Failure is null && !_agreedUpon)) return;
        // With everything agreed upon the source closes; a link is over then as after a failure.
        _funnel.Break(TransferFailureReason.ConnectionLost, "the source closed its connections");
        _ = EndAsync();
    }

    private async Task EndAsync()
    {
        await _devices;
        _ended.TrySetResult();
    }

    private bool IsComplete() => Volatile.Read(ref _agreedUpon);

    private Signal? HandlePages(PageSink sink, ReceiveChannel channel, in FrameHeader header, ReadOnlySpan<byte> payload)
    {
        Acknowledge(channel, header.Sequence, sink.Take(header, payload));
        return null;
    }

    private void Acknowledge(ReceiveChannel channel, ulong sequence, long bytes)
    {
        channel.Acks.Add(sequence, bytes);
        _meter.AddAcked(bytes);
    }

    private Signal? HandleDeviceFrame(ReceiveChannel channel, in FrameHeader header, ReadOnlySpan<byte> payload)
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
        {
            foreach (var sink in _pageSinks) sink.Seal();
            _frozen = true;
        }
        var ended = _inboxes.Where(inbox => inbox.Ended is not null).Select(inbox => inbox.Ended!.Value).ToList();
        if (ended.Count != _inboxes.Length)
            throw new TransferFailedException(
                TransferFailureReason.ManifestDisagrees, $"{ended.Count} of {_inboxes.Length} device streams have ended");
        var own = new TransferManifest(_ram.DigestOfPages(), ended);
        if (own.DifferenceFrom(theirs) is { } difference)
            throw new TransferFailedException(
                TransferFailureReason.ManifestDisagrees, $"the destination holds something else than was sent: {difference}");
        if (theirs.RamHash.Length > 0)
        {
            own = own with { RamHash = RamHash.Of(_ram) };
            if (!own.RamHash.Span.SequenceEqual(theirs.RamHash.Span))
                throw new TransferFailedException(
                    TransferFailureReason.RamDisagrees, "every page arrived as it was sent, but RAM here does not hold what the source's does");
        }
        Volatile.Write(ref _agreedUpon, true);
        _agreed(own);
        channel.Acks.SendVerdict(own);
    }
}
