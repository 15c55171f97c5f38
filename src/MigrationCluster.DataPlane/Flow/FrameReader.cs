using System.Net.Sockets;
using System.Runtime.CompilerServices;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>
/// Reads one channel's frames into one buffer, in place: the payload of the frame last read stays valid until the next
/// read. Refuses a bad header, a gap in the numbers and an end in the middle of a frame.
/// </summary>
internal sealed class FrameReader
{
    // Reads no further than into the next header, so that a full frame always lands at the buffer's start and what has
    // to be moved there is tiny; of small frames it takes many at once.
    private const int SmallReadBytes = 32 * 1024;

    private readonly Socket _socket;
    private readonly SessionShape _shape;
    private readonly FrameRoute _route;
    private readonly TransferMeter _meter;
    private readonly Action? _beforeWaiting;
    private readonly byte[] _buffer;
    private int _start, _end, _frameBytes;
    private ulong _sequence;

    /// <param name="maxPayloadBytes">of the frames that may come on this route.</param>
    /// <param name="beforeWaiting">called when no input is there: the moment to acknowledge what came before.</param>
    internal FrameReader(
        Socket socket, SessionShape shape, FrameRoute route, int maxPayloadBytes, TransferMeter meter, Action? beforeWaiting)
    {
        (_socket, _shape, _route, _meter, _beforeWaiting) = (socket, shape, route, meter, beforeWaiting);
        _buffer = GC.AllocateUninitializedArray<byte>(
            Math.Max(SmallReadBytes, FrameHeader.SizeBytes + maxPayloadBytes) + FrameHeader.SizeBytes, pinned: true);
    }

    /// <summary>The header last read.</summary>
    internal FrameHeader Header { get; private set; }

    /// <summary>The payload of <see cref="Header"/>.</summary>
    internal ReadOnlyMemory<byte> Payload => _buffer.AsMemory(
        _start + FrameHeader.SizeBytes, _frameBytes - FrameHeader.SizeBytes);

    /// <returns>false at an end between two frames.</returns>
    /// <exception cref="TransferFailedException">a bad frame, or an end inside one.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<bool> ReadAsync(CancellationToken cancellationToken)
    {
        _start += _frameBytes;
        _frameBytes = 0;
        while (!TryParse())
        {
            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                (_start, _end) = (0, _end - _start);
            }
            int limit = Math.Min(_buffer.Length, Math.Max(SmallReadBytes, _frameBytes + FrameHeader.SizeBytes));
            var receiving = _socket.ReceiveAsync(_buffer.AsMemory(_end, limit - _end), cancellationToken);
            if (!receiving.IsCompleted) _beforeWaiting?.Invoke();
            int received = await receiving;
            if (received == 0)
                return _end == _start
                    ? false
                    : throw new TransferFailedException(
                        TransferFailureReason.ConnectionLost, "the connection ended in the middle of a frame");
            _end += received;
        }
        return true;
    }

    /// <summary>Whether a whole frame lies in the buffer; notes how long it is once its header is there.</summary>
    private bool TryParse()
    {
        int available = _end - _start;
        if (_frameBytes == 0)
        {
            if (available < FrameHeader.SizeBytes) return false;
            string? wrong = FrameHeader.Read(_buffer.AsSpan(_start), _shape, _route, out var header);
            if (wrong is null && header.Sequence != _sequence + 1)
                wrong = $"frame {header.Sequence} follows frame {_sequence}";
            if (wrong is null && FrameHeader.SizeBytes + header.PayloadBytes > _buffer.Length) wrong = "too long";
            if (wrong is not null) throw new TransferFailedException(TransferFailureReason.BadFrame, wrong);
            _sequence++;
            Header = header;
            _frameBytes = FrameHeader.SizeBytes + header.PayloadBytes;
        }
        if (available < _frameBytes) return false;
        _meter.AddProtocol(Header.Kind switch
        {
            FrameKind.Pages => FrameHeader.SizeBytes + sizeof(uint) * (long)Header.Count,
            FrameKind.DeviceChunk => FrameHeader.SizeBytes + sizeof(uint),
            _ => _frameBytes,
        });
        return true;
    }
}
