using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>One device's stream on the source: where it stands, and how much of it is under way.</summary>
/// <remarks>
/// Window of one device: 8 frames, 2 MiB. The destination has as many places for it, so a slow device never keeps the
/// channel from the others. All of them together: 64 devices * 8 + the manifest are 513 frames, within the channel's 4096;
/// the bytes of a channel are bounded by the channel's own window.
/// </remarks>
internal sealed class DeviceLane
{
    internal const int MaxFrames = 8;

    private readonly Lock _lock = new();
    private int _inFlight;
    private ulong _acked;
    private bool _initialLoaded;

    internal AsyncSignal Credit { get; } = new();

    internal AsyncSignal Turn { get; } = new();

    /// <summary>Offset of the next byte to send.</summary>
    internal ulong Sent { get; set; }

    /// <summary>CRC-32C of everything sent.</summary>
    internal uint Crc32C { get; set; }

    internal DeviceStream? Ended { get; set; }

    internal ulong Acked
    {
        get { lock (_lock) return _acked; }
    }

    internal bool InitialLoaded
    {
        get { lock (_lock) return _initialLoaded; }
    }

    internal bool IsIdle
    {
        get { lock (_lock) return _inFlight == 0; }
    }

    internal bool TryReserve()
    {
        lock (_lock)
        {
            if (_inFlight == MaxFrames) return false;
            _inFlight++;
            return true;
        }
    }

    internal void TakeAck(in SentFrame frame)
    {
        lock (_lock)
        {
            _inFlight--;
            if (frame.Kind == FrameKind.DeviceChunk) _acked = frame.First + frame.Count;
            else if (frame.Kind == FrameKind.InitialBytesEnd) _initialLoaded = true;
        }
        Credit.Set();
    }
}
