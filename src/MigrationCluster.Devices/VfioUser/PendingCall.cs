using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>A command that waits for its reply, and where the reply's bytes go. Only the channel's reader fills and
/// completes it, so nobody writes into the caller's memory after the caller has gone on.</summary>
internal sealed class PendingCall(ushort command, Memory<byte> head, Memory<byte> data, bool keepRest, long deadline)
{
    /// <summary>Replies that are kept whole: texts and lists. Bulk data goes to <see cref="Data"/>.</summary>
    internal const int MaxRestBytes = 16 << 20;

    public ushort Command => command;

    /// <summary>Gets the first bytes of the body.</summary>
    public Memory<byte> Head => head;

    /// <summary>Gets the bytes after the head, as far as they fit.</summary>
    public Memory<byte> Data => data;

    /// <summary>Whether bytes that fit neither are kept; otherwise they are read and dropped.</summary>
    public bool KeepRest => keepRest;

    /// <summary>In <see cref="Environment.TickCount64"/> milliseconds.</summary>
    public long Deadline => deadline;

    public TaskCompletionSource<Reply> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <param name="Errno">0: not an error, or one without a number.</param>
/// <param name="Rest">an error's body (a reason, on our extension), or what <see cref="PendingCall.KeepRest"/> asked for.</param>
/// <param name="Files">the caller disposes them.</param>
internal readonly record struct Reply(
    bool IsError, int Errno, int HeadBytes, int DataBytes, byte[] Rest, SafeFileHandle[] Files);
