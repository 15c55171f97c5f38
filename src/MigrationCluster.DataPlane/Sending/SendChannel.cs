using System.Net.Sockets;
using System.Runtime.CompilerServices;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>
/// The source's end of one connection: frames are written into one buffer and leave together; acknowledgements come back.
/// One writer at a time.
/// </summary>
internal sealed class SendChannel : IDisposable
{
    // A full pages frame, or as many small frames as fit.
    private const int BufferBytes = FrameHeader.SizeBytes + DataPlaneWire.MaxPayloadBytes;
    private static readonly TimeSpan PeersReason = TimeSpan.FromSeconds(2);

    private readonly Socket _socket;
    private readonly BreakFunnel _funnel;
    private readonly TransferMeter _meter;
    private readonly IAckTarget _target;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    private readonly FrameReader _reader;
    private int _filled;

    internal SendChannel(
        int number, Socket socket, SessionShape shape, BreakFunnel funnel, TransferMeter meter, IAckTarget target)
    {
        (Number, _socket, _funnel, _meter, _target) = (number, socket, funnel, meter, target);
        _reader = new FrameReader(
            socket, shape, FrameRoute.Back, sizeof(uint) + DataPlaneWire.MaxAbortTextBytes, meter, beforeWaiting: null);
    }

    internal int Number { get; }

    internal InFlightWindow Window { get; } = new();

    /// <summary>Set with every acknowledgement; for the one who fills this channel.</summary>
    internal AsyncSignal Credit { get; } = new();

    /// <summary>Ends when the connection has; never faults.</summary>
    internal Task Reading { get; private set; } = Task.CompletedTask;

    internal void Start() => Reading = ReadAcksAsync();

    /// <summary>Makes room in the buffer and in the window, sending and waiting as needed.</summary>
    /// <param name="frameBytes">of the frame to come, header included.</param>
    /// <param name="dataBytes">page or device bytes in it.</param>
    internal ValueTask MakeRoomAsync(int frameBytes, int dataBytes, CancellationToken cancellationToken) =>
        _filled + frameBytes <= BufferBytes && Window.HasRoom(dataBytes)
            ? ValueTask.CompletedTask
            : MakeRoomSlowlyAsync(dataBytes, cancellationToken);

    /// <summary>Writes a header and hands out the payload's place. Room must have been made.</summary>
    internal Span<byte> Append(in SentFrame frame)
    {
        ulong sequence = Window.Add(frame);
        var header = new FrameHeader(frame.Kind, frame.Device, sequence, frame.First, frame.Count);
        header.Write(_buffer.AsSpan(_filled));
        int payload = header.PayloadBytes;
        var place = _buffer.AsSpan(_filled + FrameHeader.SizeBytes, payload);
        _filled += FrameHeader.SizeBytes + payload;
        _meter.AddProtocol(FrameHeader.SizeBytes + payload - frame.Bytes);
        return place;
    }

    /// <summary>Sends what the buffer holds. Cancelling in the middle of it ends the session: half a frame is out.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    internal async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (_filled == 0) return;
        cancellationToken.ThrowIfCancellationRequested();
        var sending = SocketSetup.SendAllAsync(_socket, _buffer.AsMemory(0, _filled), _funnel.Stopping);
        _filled = 0;
        if (sending.IsCompletedSuccessfully)
        {
            sending.GetAwaiter().GetResult();
            return;
        }
        var registration = cancellationToken.UnsafeRegister(static funnel => ((BreakFunnel)funnel!).Break(
            TransferFailureReason.Cancelled, "cancelled in the middle of a frame"), _funnel);
        try
        {
            await sending;
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException)
        {
            await BreakAfterSendErrorAsync(exception);
        }
        finally
        {
            registration.Dispose();
        }
    }

    /// <summary>Waits until everything sent was acknowledged.</summary>
    internal async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        while (!Window.IsEmpty)
        {
            _funnel.ThrowIfBroken();
            await Credit.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Says that no more frames come; the destination then closes.</summary>
    internal void ShutDownSending()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // Gone already; everything was agreed upon.
        }
    }

    public void Dispose() => _socket.Dispose();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask MakeRoomSlowlyAsync(int dataBytes, CancellationToken cancellationToken)
    {
        await FlushAsync(cancellationToken);
        while (!Window.HasRoom(dataBytes))
        {
            _funnel.ThrowIfBroken();
            await Credit.WaitAsync(cancellationToken);
        }
    }

    /// <summary>
    /// A destination that gives up says why and closes; the send fails first, but the reason lies in our input. So the
    /// reader decides, and only if it has nothing to say in time this is a lost connection.
    /// </summary>
    private async ValueTask BreakAfterSendErrorAsync(Exception exception)
    {
        if (exception is SocketException)
            await Task.WhenAny(Reading, Task.Delay(PeersReason, CancellationToken.None));
        _funnel.Break(exception, $"connection {Number}");
        _funnel.ThrowIfBroken();
    }

    private async Task ReadAcksAsync()
    {
        try
        {
            while (await _reader.ReadAsync(_funnel.Stopping))
            {
                var header = _reader.Header;
                if (header.Kind == FrameKind.Ack)
                {
                    TakeAck(header);
                    continue;
                }
                var payload = _reader.Payload[sizeof(uint)..];
                if (!Checks.Matches(_reader.Payload.Span))
                    throw new TransferFailedException(TransferFailureReason.BadFrame, "a frame does not match its CRC-32C");
                if (header.Kind == FrameKind.Abort)
                    throw new TransferFailedException(
                        (TransferFailureReason)header.First,
                        "the destination gave up: " + System.Text.Encoding.UTF8.GetString(payload.Span));
                _target.TakeVerdict(payload.Span);
            }
            if (!_target.HasVerdict) _funnel.Break(TransferFailureReason.ConnectionLost, $"the destination closed connection {Number}");
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
