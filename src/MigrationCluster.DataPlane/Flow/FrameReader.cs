using System.Net.Sockets;
using MigrationCluster.DataPlane.Sealing;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>
/// Reads one channel's frames into one buffer, in place; in sealed mode records, which are opened in place. Refuses a bad header, a gap in
/// the numbers, a record that does not open or ends inside a frame, and an end in the middle of a frame or record.
/// </summary>
/// <remarks>
/// Used as <c>do { while (reader.TryRead()) … } while (reader.Receive())</c>.
/// <code>
///   plain    0 ... _start | frames            | _open = _next = _end
///   sealed   0 ... _start | frames in a record | _open | tag | _next | sealed records | _end
/// </code>
/// Nobody sees a byte beyond <c>_open</c>: what has not been opened does not exist.
/// </remarks>
internal sealed class FrameReader
{
    // Reads no further than into the next header, so that a full frame always lands at the buffer's start and what has
    // to be moved there is tiny; of small frames it takes many at once. Of records likewise.
    private const int SmallReadBytes = 32 * 1024;

    private readonly Socket _socket;
    private readonly RecordOpener? _opener;
    private readonly SessionShape _shape;
    private readonly FrameRoute _route;
    private readonly TransferMeter _meter;
    private readonly byte[] _buffer;
    private int _start, _open, _next, _end, _frameBytes, _recordBytes;
    private bool _whole;
    private ulong _sequence;

    /// <param name="buffer">from <see cref="NewBuffer"/>, for this reader alone.</param>
    internal FrameReader(Connection connection, SessionShape shape, FrameRoute route, byte[] buffer, TransferMeter meter) =>
        (_socket, _opener, _shape, _route, _buffer, _meter) = (connection.Socket, connection.Opener, shape, route, buffer, meter);

    /// <summary>A pinned buffer for frames of up to so many payload bytes; longer ones are refused.</summary>
    internal static byte[] NewBuffer(int maxPayloadBytes) => GC.AllocateUninitializedArray<byte>(
        Math.Max(SmallReadBytes, FrameHeader.SizeBytes + maxPayloadBytes + SealedRecord.OverheadBytes) + FrameHeader.SizeBytes,
        pinned: true);

    /// <summary>The header last read.</summary>
    internal FrameHeader Header { get; private set; }

    /// <summary>The payload of <see cref="Header"/>, until the next call of anything here.</summary>
    internal ReadOnlyMemory<byte> Payload => _buffer.AsMemory(
        _start + FrameHeader.SizeBytes, _frameBytes - FrameHeader.SizeBytes);

    /// <summary>Whether a part of the next frame is here already.</summary>
    internal bool IsInsideFrame => _end > Unread;

    /// <summary>Where begins what <see cref="TryRead"/> could not use yet.</summary>
    private int Unread => _opener is null ? _start : _next;

    /// <summary>Goes to the next frame.</summary>
    /// <returns>false when it is not there in whole.</returns>
    /// <exception cref="TransferFailedException">a bad frame, or a record that does not open.</exception>
    internal bool TryRead()
    {
        if (_whole) (_start, _frameBytes, _whole) = (_start + _frameBytes, 0, false);
        if (_start == _open && !TryOpen()) return false;
        int available = _open - _start;
        if (_frameBytes == 0 && (available < FrameHeader.SizeBytes || !ReadHeader()) || available < _frameBytes)
            return _opener is null ? false : throw BadFrame("its record ends before it does");
        _whole = true;
        _meter.AddProtocol(Header.Kind switch
        {
            FrameKind.Pages => FrameHeader.SizeBytes + sizeof(uint) * (long)Header.Count,
            FrameKind.DeviceChunk => FrameHeader.SizeBytes + sizeof(uint),
            _ => _frameBytes,
        });
        return true;
    }

    /// <summary>Waits for more, after <see cref="TryRead"/> found no whole frame.</summary>
    /// <returns>false at an end between two frames.</returns>
    /// <exception cref="TransferFailedException">the connection ended inside a frame.</exception>
    internal bool Receive() => Received(_socket.Receive(Room().Span));

    /// <summary>Where the next bytes go.</summary>
    internal Memory<byte> Room()
    {
        if (Unread is > 0 and var unread)
        {
            _buffer.AsSpan(unread, _end - unread).CopyTo(_buffer);
            (_start, _next, _end) = (0, 0, _end - unread);
            _open = _opener is null ? _end : 0;
        }
        int wanted = _opener is null ? _frameBytes + FrameHeader.SizeBytes : _recordBytes + SealedRecord.LengthBytes;
        return _buffer.AsMemory(_end, Math.Min(_buffer.Length, Math.Max(SmallReadBytes, wanted)) - _end);
    }

    /// <summary>Notes what the socket delivered.</summary>
    /// <returns>false at an end between two frames.</returns>
    /// <exception cref="TransferFailedException">the connection ended inside a frame.</exception>
    internal bool Received(int count)
    {
        if (count == 0 && IsInsideFrame)
            throw new TransferFailedException(
                TransferFailureReason.ConnectionLost, "the connection ended in the middle of a frame");
        _end += count;
        if (_opener is null) _open = _end;
        return count > 0;
    }

    /// <summary>Opens the next record, once all frames of the one before were read.</summary>
    private bool TryOpen()
    {
        int received = _end - _next;
        if (_opener is null || received < SealedRecord.LengthBytes) return false;
        if (SealedRecord.ReadLength(_buffer.AsSpan(_next), out int plainBytes) is { } wrong) throw Connection.SealBroken(wrong);
        _recordBytes = plainBytes + SealedRecord.OverheadBytes;
        if (_recordBytes + SealedRecord.LengthBytes > _buffer.Length) throw Connection.SealBroken($"a record of {plainBytes} bytes");
        if (received < _recordBytes) return false;
        int plainAt = _next + SealedRecord.LengthBytes;
        if (_opener.Open(_buffer.AsSpan(_next, _recordBytes), _buffer.AsSpan(plainAt, plainBytes)) is { } broken)
            throw Connection.SealBroken(broken);
        _meter.AddProtocol(SealedRecord.OverheadBytes);
        (_start, _open, _next, _recordBytes) = (plainAt, plainAt + plainBytes, _next + _recordBytes, 0);
        return true;
    }

    private bool ReadHeader()
    {
        string? wrong = FrameHeader.Read(_buffer.AsSpan(_start), _shape, _route, out var header);
        if (wrong is null && header.Sequence != _sequence + 1) wrong = $"frame {header.Sequence} follows frame {_sequence}";
        if (wrong is null && FrameHeader.SizeBytes + header.PayloadBytes > _buffer.Length) wrong = "it is too long";
        if (wrong is not null) throw BadFrame(wrong);
        _sequence++;
        Header = header;
        _frameBytes = FrameHeader.SizeBytes + header.PayloadBytes;
        return true;
    }

    private TransferFailedException BadFrame(string wrong) =>
        new(TransferFailureReason.BadFrame, $"bad frame {_sequence + 1}: {wrong}");
}
