using System.Threading.Tasks.Sources;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>One device's stream on the source: where it stands, the frame its caller wants sent, what is under way.</summary>
/// <remarks>
/// Guarded by <see cref="DeviceWriter"/>'s lock. Window of one device: 16 frames, 4 MiB. The destination has as many places
/// for it, so a slow device never keeps the channel from the others. All of them together: 64 devices * 16 + the manifest
/// are 1025 frames, within the channel's 4096; its bytes are bounded by the channel's own window of 16 MiB.
/// </remarks>
internal sealed class DeviceLane(DeviceWriter writer, int number) : IValueTaskSource
{
    internal const int MaxFrames = 16;

    private ManualResetValueTaskSourceCore<bool> _sent = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _registration;
    private SentFrame _asked;
    private ReadOnlyMemory<byte> _left; // of what was asked

    /// <summary>What the caller wants sent next, and where that stands; of a chunk that is longer than a frame, the next frame.</summary>
    internal SentFrame Frame => _asked.Kind == FrameKind.DeviceChunk
        ? _asked with { First = Position, Count = (ulong)Data.Length, Bytes = Data.Length }
        : _asked;

    /// <summary>Of <see cref="Frame"/>.</summary>
    internal ReadOnlyMemory<byte> Data =>
        _asked.Kind == FrameKind.DeviceChunk ? _left[..Math.Min(_left.Length, DataPlaneWire.MaxDeviceChunkBytes)] : _left;

    internal LaneRequest Request { get; set; }

    internal int InFlight { get; set; }

    /// <summary>Lower goes first; the same in turn.</summary>
    internal int Rank { get; set; }

    /// <summary>Offset of the next byte to send, and CRC-32C of everything before it.</summary>
    internal ulong Position { get; set; }

    internal uint Crc32C { get; set; }

    /// <summary>The destination's device has accepted the stream up to here.</summary>
    internal ulong Acked { get; set; }

    /// <summary>Ends of initial bytes the destination's device has loaded, of all that were sent: a device may have some again.</summary>
    internal long InitialEndsLoaded { get; set; }

    internal long InitialEndsSent { get; set; }

    /// <summary>Ends when the last of them is loaded, or the session has ended.</summary>
    internal TaskCompletionSource InitialAcked { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when the destination's device has accepted the whole stream, or the session has ended.</summary>
    internal TaskCompletionSource EndAcked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal DeviceStream Stream => new(number, Position, Crc32C);

    /// <summary>Takes a frame to send, or a chunk of any length; the result ends when all of it has left, or <see cref="Finish"/> says otherwise.</summary>
    internal ValueTask Ask(in SentFrame frame, ReadOnlyMemory<byte> data)
    {
        (_asked, _left) = (frame, data);
        _sent.Reset();
        return new ValueTask(this, _sent.Version);
    }

    /// <summary>After <see cref="Ask"/>, before its result is awaited.</summary>
    internal void CancelWith(CancellationToken cancellationToken)
    {
        if (cancellationToken.CanBeCanceled)
            _registration = cancellationToken.UnsafeRegister(static (lane, token) => ((DeviceLane)lane!).Cancel(token), this);
    }

    /// <summary>A frame of it has left.</summary>
    /// <param name="bytes">of it.</param>
    /// <returns>whether that was all.</returns>
    internal bool Left(int bytes)
    {
        _left = _left[bytes..];
        return _left.IsEmpty;
    }

    internal void Finish(Exception? exception)
    {
        (Request, _left) = (LaneRequest.None, default);
        if (exception is null) _sent.SetResult(true);
        else _sent.SetException(exception);
    }

    private void Cancel(CancellationToken token) => writer.Cancel(this, token);

    void IValueTaskSource.GetResult(short token)
    {
        _registration.Dispose();
        _registration = default;
        _sent.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _sent.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _sent.OnCompleted(continuation, state, token, flags);
}

/// <summary>Where the frame that a lane's caller wants sent stands.</summary>
internal enum LaneRequest
{
    None,

    /// <summary>The device's window is full.</summary>
    WaitsForCredit,

    /// <summary>In the queue.</summary>
    Ready,

    /// <summary>The writing loop has it.</summary>
    BeingSent,
}
