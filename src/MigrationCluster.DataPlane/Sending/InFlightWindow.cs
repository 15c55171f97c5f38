using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>One frame that was sent and not yet acknowledged.</summary>
/// <param name="Bytes">page or device bytes in it.</param>
/// <param name="Pass">which call of SendPagesAsync it belongs to.</param>
internal readonly record struct SentFrame(FrameKind Kind, ushort Device, ulong First, ulong Count, int Bytes, int Pass);

/// <summary>
/// What a channel has sent and the destination has not acknowledged, bounded in frames and in bytes.
/// </summary>
/// <remarks>
/// Bounds of one channel: 16 MiB are 32 full pages frames of 512 KiB, or 4096 frames of one 4 KiB page each, so sparse
/// and dense passes may both have 16 MiB under way; 4096 zero runs are 128 KiB of headers. The destination acknowledges at
/// the latest after 8 MiB or 256 frames, and whenever it is about to wait, so a full window always opens again.
/// Memory: 4096 records of 40 bytes, 160 KiB a channel, whatever the guest's size.
/// </remarks>
internal sealed class InFlightWindow
{
    internal const int MaxFrames = 4096;
    internal const long MaxBytes = 16 << 20;

    private readonly Lock _lock = new();
    private readonly SentFrame[] _frames = new SentFrame[MaxFrames];
    private readonly bool[] _acked = new bool[MaxFrames];
    private ulong _oldest = 1, _next = 1;
    private long _bytes;

    internal bool IsEmpty
    {
        get { lock (_lock) return _oldest == _next; }
    }

    internal bool HasRoom(int bytes)
    {
        lock (_lock) return _next - _oldest < MaxFrames && _bytes + bytes <= MaxBytes;
    }

    /// <returns>the frame's sequence number.</returns>
    internal ulong Add(in SentFrame frame)
    {
        lock (_lock)
        {
            if (_next - _oldest >= MaxFrames) throw new InvalidOperationException("the window is full");
            _frames[_next % MaxFrames] = frame;
            _acked[_next % MaxFrames] = false;
            _bytes += frame.Bytes;
            return _next++;
        }
    }

    /// <summary>Takes one frame as acknowledged.</summary>
    /// <returns>false when it is not under way.</returns>
    internal bool TryAck(ulong sequence, out SentFrame frame)
    {
        lock (_lock)
        {
            frame = _frames[sequence % MaxFrames];
            if (sequence < _oldest || sequence >= _next || _acked[sequence % MaxFrames]) return false;
            _acked[sequence % MaxFrames] = true;
            _bytes -= frame.Bytes;
            while (_oldest < _next && _acked[_oldest % MaxFrames]) _oldest++;
            return true;
        }
    }
}
