using System.Net.Sockets;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>
/// Reads one channel's frames into one buffer, in place. Refuses a bad header, a gap in the numbers and an end in the
/// middle of a frame.
/// </summary>
/// <remarks>
/// Used as <c>do { while (reader.TryRead()) … } while (reader.Received(await reader.ReceiveAsync(…)))</c>: the await is
/// the socket's own, so that a frame allocates nothing.
/// </remarks>
internal sealed class FrameReader
{
    // Reads no further than into the next header, so that a full frame always lands at the buffer's start and what has
    // to be moved there is tiny; of small frames it takes many at once.
    private const int SmallReadBytes = 32 * 1024;

    private readonly Socket _socket;
    private readonly SessionShape _shape;
    private readonly FrameRoute _route;
    private readonly TransferMeter _meter;
    private readonly byte[] _buffer;
    private int _start, _end, _frameBytes;
    private bool _whole;
    private ulong _sequence;

    /// <param name="buffer">from <see cref="NewBuffer"/>, for this reader alone.</param>
    internal FrameReader(Socket socket, SessionShape shape, FrameRoute route, byte[] buffer, TransferMeter meter) =>
        (_socket, _shape, _route, _buffer, _meter) = (socket, shape, route, buffer, meter);

    /// <summary>A pinned buffer for frames of up to so many payload bytes; longer ones are refused.</summary>
    internal static byte[] NewBuffer(int maxPayloadBytes) => GC.AllocateUninitializedArray<byte>(
        Math.Max(SmallReadBytes, FrameHeader.SizeBytes + maxPayloadBytes) + FrameHeader.SizeBytes, pinned: true);

    /// <summary>The header last read.</summary>
    internal FrameHeader Header { get; private set; }

    /// <summary>The payload of <see cref="Header"/>, until the next call of anything here.</summary>
    internal ReadOnlyMemory<byte> Payload => _buffer.AsMemory(
        _start + FrameHeader.SizeBytes, _frameBytes - FrameHeader.SizeBytes);

    /// <summary>Whether a part of the next frame is here already.</summary>
    internal bool IsInsideFrame => _end > _start;

    /// <summary>Goes to the next frame.</summary>
    /// <returns>false when it is not there in whole.</returns>
    /// <exception cref="TransferFailedException">a bad frame.</exception>
    internal bool TryRead()
    {
        if (_whole) (_start, _frameBytes, _whole) = (_start + _frameBytes, 0, false);
        int available = _end - _start;
        if (_frameBytes == 0 && (available < FrameHeader.SizeBytes || !ReadHeader()) || available < _frameBytes) return false;
        _whole = true;
        _meter.AddProtocol(Header.Kind switch
        {
            FrameKind.Pages => FrameHeader.SizeBytes + sizeof(uint) * (long)Header.Count,
            FrameKind.DeviceChunk => FrameHeader.SizeBytes + sizeof(uint),
            _ => _frameBytes,
        });
        return true;
    }

    /// <summary>Asks the socket for more, after <see cref="TryRead"/> found no whole frame.</summary>
    internal ValueTask<int> ReceiveAsync(CancellationToken cancellationToken) =>
        _socket.ReceiveAsync(Room(), cancellationToken);

    /// <summary>Where the next bytes go.</summary>
    internal Memory<byte> Room()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        int limit = Math.Min(_buffer.Length, Math.Max(SmallReadBytes, _frameBytes + FrameHeader.SizeBytes));
        return _buffer.AsMemory(_end, limit - _end);
    }

    /// <summary>Notes what the socket delivered.</summary>
    /// <returns>false at an end between two frames.</returns>
    /// <exception cref="TransferFailedException">the connection ended inside a frame.</exception>
    internal bool Received(int count)
    {
        _end += count;
        if (count == 0 && _end > _start)
            throw new TransferFailedException(
                TransferFailureReason.ConnectionLost, "the connection ended in the middle of a frame");
        return count > 0;
    }

    private bool ReadHeader()
    {
        string? wrong = FrameHeader.Read(_buffer.AsSpan(_start), _shape, _route, out var header);
        if (wrong is null && header.Sequence != _sequence + 1) wrong = $"frame {header.Sequence} follows frame {_sequence}";
        if (wrong is null && FrameHeader.SizeBytes + header.PayloadBytes > _buffer.Length) wrong = "it is too long";
        if (wrong is not null)
            throw new TransferFailedException(TransferFailureReason.BadFrame, $"bad frame {_sequence + 1}: {wrong}");
        _sequence++;
        Header = header;
        _frameBytes = FrameHeader.SizeBytes + header.PayloadBytes;
        return true;
    }
}
