using System.Net.Sockets;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>
/// The source's end of one connection: frames are written into one buffer and leave together, in sealed mode as one record;
/// acknowledgements come back.
/// </summary>
/// <remarks>
/// One writer at a time, a thread of its own. It makes room with <c>while (!channel.HasRoom(…)) { if (channel.MaySend()) channel.Send(…); else
/// channel.WaitForCredit(…); }</c>. Nothing is allocated a frame.
/// </remarks>
internal sealed class SendChannel : IDisposable
{
    // A full pages frame, or as many small frames as fit.
    private const int BufferBytes = SealedRecord.MaxPlainBytes;
    private static readonly TimeSpan PeersReason = TimeSpan.FromSeconds(2);

    private readonly Connection _connection;
    private readonly BandwidthShare? _bandwidth;
    private readonly BreakFunnel _funnel;
    private readonly TransferMeter _meter;
    private readonly IAckTarget _target;
    private readonly OutgoingBuffer _buffer;
    private readonly FrameReader _reader;
    private ReadOnlyMemory<byte> _leaving; // what has not left of the buffer, once it began to leave
    private int _filled;
    private int _granted; // of that, what may leave now
    private volatile bool _sending;

    internal SendChannel(
        int number, Connection connection, SessionShape shape, BandwidthShare? bandwidth, BreakFunnel funnel, TransferMeter meter,
        IAckTarget target)
    {
        (Number, _connection, _bandwidth, _funnel, _meter, _target) = (number, connection, bandwidth, funnel, meter, target);
        _buffer = new OutgoingBuffer(BufferBytes, connection.Sealer);
        _reader = new FrameReader(
            connection, shape, FrameRoute.Back, FrameReader.NewBuffer(sizeof(uint) + DataPlaneWire.MaxAbortTextBytes), meter);
    }

    internal int Number { get; }

    internal InFlightWindow Window { get; } = new();

    /// <summary>Set with every acknowledgement, when the bandwidth's share lets more leave, and when the session ends; for the one who
    /// writes to this channel.</summary>
    internal Signal Credit { get; } = new();

    /// <summary>Ends when the connection has; never faults.</summary>
    internal Task Reading { get; private set; } = Task.CompletedTask;

    /// <summary>Whether the buffer holds bytes that have not left.</summary>
    internal bool MustSend => _filled > 0;

    internal void Start() => Reading = Task.Factory.StartNew(
        ReadAcks, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Whether a frame fits into the buffer and into the window.</summary>
    /// <param name="frameBytes">header included.</param>
    /// <param name="dataBytes">page or device bytes in it.</param>
    internal bool HasRoom(int frameBytes, int dataBytes) =>
        _leaving.IsEmpty && _filled + frameBytes <= BufferBytes && Window.HasRoom(dataBytes);

    /// <summary>Writes a header and hands out the payload's place. There must be room.</summary>
    internal Span<byte> Append(in SentFrame frame)
    {
        ulong sequence = Window.Add(frame);
        var header = new FrameHeader(frame.Kind, frame.Device, sequence, frame.First, frame.Count);
        header.Write(_buffer.Frames.Span[_filled..]);
        int payload = header.PayloadBytes;
        var place = _buffer.Frames.Span.Slice(_filled + FrameHeader.SizeBytes, payload);
        _filled += FrameHeader.SizeBytes + payload;
        _meter.AddProtocol(FrameHeader.SizeBytes + payload - frame.Bytes);
        return place;
    }

    /// <summary>Whether bytes of the buffer may leave now: there are some, and the bandwidth's share has room for them.</summary>
    internal bool MaySend()
    {
        if (!MustSend) return false;
        int bytes = _leaving.IsEmpty ? _filled + _buffer.OverheadBytes : _leaving.Length;
        _granted = _bandwidth?.Take(bytes, Credit) ?? bytes;
        return _granted > 0;
    }

    /// <summary>Sends of the buffer what may leave. Once it has begun, only the session's end stops it.</summary>
    /// <exception cref="OperationCanceledException">cancelled before it began.</exception>
    internal void Send(CancellationToken cancellationToken)
    {
        _sending = true; // before the look at the token: see BreakIfSending
        if (cancellationToken.IsCancellationRequested)
        {
            _sending = false;
            cancellationToken.ThrowIfCancellationRequested();
        }
        if (_leaving.IsEmpty)
        {
            _leaving = _buffer.Finish(_filled);
            _meter.AddProtocol(_buffer.OverheadBytes);
        }
        _leaving = _leaving[_connection.Socket.Send(_leaving.Span[.._granted])..];
        if (_leaving.IsEmpty) _filled = 0;
        _sending = false;
    }

    /// <summary>Waits until it is worth looking again for room, or for bytes that may leave.</summary>
    /// <exception cref="OperationCanceledException">cancelled, which <see cref="Cancel"/> must tell as well.</exception>
    internal void WaitForCredit(CancellationToken cancellationToken)
    {
        Credit.Wait();
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>For a caller's cancellation: half a frame may be out, so a send can only be given up with the session.</summary>
    internal void Cancel()
    {
        if (_sending) _funnel.Break(TransferFailureReason.Cancelled, "cancelled in the middle of a frame");
        Credit.Set();
    }

    /// <summary>
    /// Turns a writer's error into the session's end. A destination that gives up says why and closes; the send fails first,
    /// but the reason lies in our input. So the reader decides, and only if it has nothing to say is this a lost connection.
    /// </summary>
    internal void Break(Exception exception)
    {
        if (exception is SocketException) Reading.Wait(PeersReason);
        _funnel.Break(exception, $"connection {Number}");
    }

    /// <summary>Says that no more frames come; the destination then closes.</summary>
    internal void ShutDownSending() => _connection.ShutDown(SocketShutdown.Send);

    public void Dispose() => _connection.Dispose();

    private void ReadAcks()
    {
        // Outside, so that at the end of this a session that is over has woken whoever sends here.
        using var stopping = _funnel.Stopping.UnsafeRegister(
            static connection => ((Connection)connection!).ShutDown(SocketShutdown.Both), _connection);
        try
        {
            do
            {
                while (_reader.TryRead()) Take(_reader.Header, _reader.Payload.Span);
            }
            while (_reader.Receive());
            if (!_target.HasVerdict)
                _funnel.Break(TransferFailureReason.ConnectionLost, $"the destination closed connection {Number}");
        }
        catch (Exception exception)
        {
            _funnel.Break(exception, $"connection {Number}");
        }
        finally
        {
            Credit.Set();
            _target.ChannelEnded();
        }
    }

    private void Take(in FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.Kind == FrameKind.Ack)
        {
            TakeAck(header);
            return;
        }
        if (!Checks.Matches(payload))
            throw new TransferFailedException(TransferFailureReason.BadFrame, "a frame does not match its CRC-32C");
        payload = payload[sizeof(uint)..];
        if (header.Kind == FrameKind.Abort)
            throw new TransferFailedException(
                (TransferFailureReason)header.First, "the destination gave up: " + System.Text.Encoding.UTF8.GetString(payload));
        _target.TakeVerdict(payload);
    }

    private void TakeAck(in FrameHeader ack)
    {
        if (ack.Count > InFlightWindow.MaxFrames)
            throw new TransferFailedException(TransferFailureReason.BadFrame, $"acknowledges {ack.Count} frames at once");
        long bytes = 0;
        for (ulong sequence = ack.First; sequence < ack.First + ack.Count; sequence++)
        {
            if (!Window.TryAck(sequence, out var frame))
                throw new TransferFailedException(
                    TransferFailureReason.BadFrame, $"acknowledges frame {sequence}, which is not under way");
            bytes += frame.Bytes;
            _target.TakeAck(frame);
        }
        _meter.AddAcked(bytes);
        Credit.Set();
    }
}
