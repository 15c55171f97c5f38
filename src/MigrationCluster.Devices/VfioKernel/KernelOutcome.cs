using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>What a no of the kernel means. <see cref="KernelRefusedException.Code"/> is its stable name; docs/kernel-vfio.md lists them.</summary>
public enum KernelOutcome
{
    /// <summary>The device or its files cannot be opened.</summary>
    NotOpened,

    /// <summary>The way from this state to that one does not exist; nothing was asked of the kernel, or it changed nothing.</summary>
    ArcRefused,

    /// <summary>A change of state failed on the way: the device rests where the message says.</summary>
    ArcFailed,

    /// <summary>The device is in Error.</summary>
    InError,

    /// <summary>The stream ends too early: the device is still Resuming and takes the rest.</summary>
    StreamIncomplete,

    /// <summary>The stream is of another kind of device, or of another version of it.</summary>
    StreamRefused,

    /// <summary>The stream has bytes behind its end, as one of a larger device has.</summary>
    StreamTooLong,

    /// <summary>An earlier write of the stream failed: what was loaded must not run.</summary>
    LoadFailed,

    /// <summary>The session of the data_fd has ended, as a reset does to it.</summary>
    SessionEnded,

    /// <summary>This state does not allow it.</summary>
    NotInThisState,

    /// <summary>The device, or this kernel, cannot do it at all.</summary>
    Unsupported,

    /// <summary>An interrupt index is bound while another one is.</summary>
    InterruptsBound,

    /// <summary>What was asked for does not exist on the device.</summary>
    OutOfRange,

    /// <summary>Anything else.</summary>
    Failed,
}

/// <summary>A refusal of the kernel, or of this back end before it asked: which device, in which state, what was expected, what to do next.</summary>
/// <param name="state">the device's own answer after the refusal; null: it has none, or is not open.</param>
public sealed class KernelRefusedException(
    KernelOutcome outcome, string device, DeviceState? state, string what, string expected, string next, int errno)
    : DeviceRefusedException(
        $"{device}: {CodeOf(outcome)}: {what} ({ErrnoName(errno)}){(state is { } known ? $"; it is in {known}" : "")}; expected {expected}; {next}", errno)
{
    public KernelOutcome Outcome { get; } = outcome;

    public string Code => CodeOf(Outcome);

    public DeviceState? State { get; } = state;

    /// <summary>What to do next.</summary>
    public string Next { get; } = next;

    private static string ErrnoName(int errno) => Protocol.VfioUser.Errno.Name(errno);

    private static string CodeOf(KernelOutcome outcome) => outcome switch
    {
        KernelOutcome.NotOpened => "kernel.not-opened",
        KernelOutcome.ArcRefused => "kernel.arc-refused",
        KernelOutcome.ArcFailed => "kernel.arc-failed",
        KernelOutcome.InError => "kernel.in-error",
        KernelOutcome.StreamIncomplete => "kernel.stream-incomplete",
        KernelOutcome.StreamRefused => "kernel.stream-refused",
        KernelOutcome.StreamTooLong => "kernel.stream-too-long",
        KernelOutcome.LoadFailed => "kernel.load-failed",
        KernelOutcome.SessionEnded => "kernel.session-ended",
        KernelOutcome.NotInThisState => "kernel.not-in-this-state",
        KernelOutcome.Unsupported => "kernel.unsupported",
        KernelOutcome.InterruptsBound => "kernel.interrupts-bound",
        KernelOutcome.OutOfRange => "kernel.out-of-range",
        _ => "kernel.failed",
    };

}
