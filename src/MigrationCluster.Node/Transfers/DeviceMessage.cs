using MigrationCluster.DataPlane;
using MigrationCluster.Devices;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Transfers;

/// <summary>What a device actor is asked to do with its one device. Every message carries its reply.</summary>
/// <param name="Cancel">the asker no longer wants it.</param>
public abstract record DeviceMessage(CancellationToken Cancel)
{
    /// <summary>Fails the reply: the device refused, or is lost.</summary>
    public abstract void Fail(Exception error);

    public sealed record Probe(TaskCompletionSource<PlannedDevice> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    /// <summary>Ask for one arc; the reply is the state the device then stands in.</summary>
    public sealed record Move(DeviceState Target, TaskCompletionSource<DeviceState> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    public sealed record ReadState(TaskCompletionSource<DeviceState> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    public sealed record ReadSetup(TaskCompletionSource<SetupRecord> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    public sealed record CheckSetup(
        SetupRecord Record, TaskCompletionSource<Verdict> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    public sealed record StartDirtyLog(TaskCompletionSource<bool> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    /// <summary>Adds the pages that are dirty and not acknowledged to <paramref name="Pages"/>, which is this message's alone.</summary>
    public sealed record ReadDirty(PageBitmap Pages, TaskCompletionSource<ulong> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    public sealed record AckDirty(ulong Sequence, TaskCompletionSource<bool> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    /// <summary>Send what the device has to say now.</summary>
    /// <param name="Final">the device stands in StopCopy: send to the end, then end the stream.</param>
    public sealed record SendStream(
        TransferSender Sender, int Index, bool Final, TaskCompletionSource<StreamSent> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    /// <summary>Initial and dirty bytes the device still has; null where it cannot tell.</summary>
    public sealed record ReadRemaining(TaskCompletionSource<PreCopyBytes?> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    public sealed record LoadChunk(
        ulong Offset, ReadOnlyMemory<byte> Data, TaskCompletionSource<bool> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    public sealed record ReadStreamDigest(TaskCompletionSource<StreamDigest> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }

    /// <summary>A checksum of the device's content as text; of its whole stream where it has none of its content.</summary>
    public sealed record ReadContentDigest(TaskCompletionSource<string> Reply, CancellationToken Cancel)
        : DeviceMessage(Cancel)
    {
        public override void Fail(Exception error) => Reply.TrySetException(error);
    }
}
