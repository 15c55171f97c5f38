using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;
using static MigrationCluster.Devices.VfioKernel.KernelOutcome;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>Turns an errno, or a refusal of our own, into a named outcome.</summary>
/// <remarks>Every errno here was measured on mtty, or stands in linux/vfio.h; an errno nobody expected is still told, as kernel.failed.</remarks>
internal static class KernelRefusals
{
    /// <summary>Our own table has no such way: the kernel is not asked. Some kernels spin for ever on STOP_COPY to PRE_COPY*.</summary>
    public static KernelRefusedException NoWay(string device, DeviceState from, DeviceState to) =>
        from == DeviceState.Error
            ? InError(device, $"it was asked to go to {Name(to)}", Errno.EINVAL)
            : new(ArcRefused, device, from, $"there is no way to {Name(to)}", "a state that docs/kernel-vfio.md's table of arcs leads to",
                Enum.IsDefined(to) && DeviceArcs.IsSaving(from) && DeviceArcs.IsSaving(to)
                    ? "go through Running: a save begins anew there" : "ask for another state", Errno.EINVAL);

    /// <param name="rests">the state the device says it is in after the failed change.</param>
    public static KernelRefusedException ArcDenied(string device, DeviceState from, DeviceState to, DeviceState rests, int errno) =>
        rests == DeviceState.Error ? InError(device, $"the change from {from} to {to} failed", errno)
        : rests == from && from == DeviceState.Resuming ? new(
            StreamIncomplete, device, rests, $"it does not leave Resuming for {to}", "the whole of the source's stream",
            "write what is missing and ask again, or reset it", errno)
        : rests == from ? new(
            ArcRefused, device, rests, $"the kernel refused the way from {from} to {to}, and nothing changed", "a state this driver has",
            "probe its capabilities anew, or ask for another state", errno)
        : new(
            ArcFailed, device, rests, $"the change from {from} to {to} failed on the way", $"{to}",
            $"go on from {rests}: ask for {to} again or go back to {from}", errno);

    public static KernelRefusedException InError(string device, string what, int errno) => new(
        KernelOutcome.InError, device, DeviceState.Error, what, "a device that works",
        "reset it: nothing else leads out of Error", errno);

    public static KernelRefusedException WriteFailed(string device, DeviceState state, ulong written, int errno) => errno switch
    {
        Errno.EFAULT => new(
            StreamRefused, device, state, $"it refused its stream within the bytes from {written} on", "a stream of the same type and version of device",
            "reset it and load nothing more; compare the types and versions of both devices", errno),
        Errno.ENOMEM => new(
            StreamTooLong, device, state, $"it takes no more than the {written} bytes it has", "a stream that ends there",
            "reset it and load nothing more; compare the types of both devices", errno),
        Errno.ENODEV => Ended(device, state, errno),
        _ => new(
            Failed, device, state, $"writing its stream failed at byte {written}", "all bytes taken", "reset it and load nothing more", errno),
    };

    public static KernelRefusedException ReadFailed(string device, DeviceState state, int errno) =>
        errno == Errno.ENODEV ? Ended(device, state, errno)
        : new(Failed, device, state, "reading its stream failed", "the next bytes or the end", "take it back to Running and begin the save anew", errno);

    public static KernelRefusedException LoadFailed(string device, DeviceState state) => new(
        KernelOutcome.LoadFailed, device, state, "an earlier write of its stream was refused, and the rest would load half a state",
        "a reset first", "reset it", Errno.EIO);

    public static KernelRefusedException NotIn(string device, DeviceState state, string what, DeviceAction action) =>
        state == DeviceState.Error ? InError(device, what, Errno.EINVAL)
        : new(NotInThisState, device, state, $"{what} is not allowed", $"one of {string.Join(", ", StatesThatAllow(action))}",
            "bring it there first", Errno.EINVAL);

    public static KernelRefusedException OutOfRange(string device, string what, string expected) => new(
        KernelOutcome.OutOfRange, device, null, what, expected, "ask for what the device has", Errno.EINVAL);

    public static KernelRefusedException Unsupported(string device, string what, int errno) => new(
        KernelOutcome.Unsupported, device, null, what, "a kernel and a driver that can", "do without it", errno);

    public static KernelRefusedException Call(string device, DeviceState? state, string call, int errno) => new(
        Failed, device, state, $"{call} failed", "success", "see the kernel's log of this host (dmesg)", errno);

    public static KernelRefusedException Opening(string device, string what, string expected, string next, int errno) =>
        new(NotOpened, device, null, what, expected, next, errno);

    private static KernelRefusedException Ended(string device, DeviceState state, int errno) => new(
        SessionEnded, device, state, "the session of this data_fd has ended", "a data_fd of the current session",
        "begin the save or the load anew: a reset or another state ended it", errno);

    private static IEnumerable<DeviceState> StatesThatAllow(DeviceAction action) =>
        Enum.GetValues<DeviceState>().Where(state => AllowedActions.Allows(BackEnd.Kernel, state, action));

    private static string Name(DeviceState state) => Enum.IsDefined(state) ? $"{state}" : $"state {(uint)state}";
}
