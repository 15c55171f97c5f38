using static MigrationCluster.Protocol.Vfio.DeviceAction;

namespace MigrationCluster.Protocol.Vfio;

/// <summary>
/// Which action is allowed in which state, as data for each back end. The guest process, the vfio-user server and the
/// emulated devices enforce it.
/// </summary>
/// <remarks>
/// Both back ends agree on the running states: P2P-quiet means a device starts no P2P but still takes it and still
/// writes RAM, so dirty reports stay live until Stop. They differ where a device stands still:
/// the kernel maps DMA in its IOMMU container, whatever the device does, and takes interrupts after Resuming ends;
/// libvfio-user answers neither in Stop and StopCopy, but serves regions in Stop and while Resuming.
/// Error allows nothing: only a reset helps.
/// </remarks>
public static class AllowedActions
{
    private const DeviceAction QuietP2P =
        RegisterAccess | OutgoingDma | IncomingP2P | InterruptSetup | DmaMap | DirtyReport;

    private const DeviceAction Free = QuietP2P | OutgoingP2P;

    private static readonly Dictionary<DeviceState, DeviceAction> Kernel = new()
    {
        [DeviceState.Error] = None,
        [DeviceState.Stop] = InterruptSetup | DmaMap | DirtyReport,
        [DeviceState.Running] = Free,
        [DeviceState.StopCopy] = DmaMap | DataRead | DirtyReport,
        [DeviceState.Resuming] = DmaMap | DataWrite | DirtyReport,
        [DeviceState.RunningP2P] = QuietP2P,
        [DeviceState.PreCopy] = Free | DataRead,
        [DeviceState.PreCopyP2P] = QuietP2P | DataRead,
    };

    private static readonly Dictionary<DeviceState, DeviceAction> VfioUser = new()
    {
        [DeviceState.Error] = None,
        [DeviceState.Stop] = RegisterAccess | DirtyReport,
        [DeviceState.Running] = Free,
        [DeviceState.StopCopy] = DataRead | DirtyReport,
        [DeviceState.Resuming] = RegisterAccess | InterruptSetup | DmaMap | DataWrite | DirtyReport,
        [DeviceState.RunningP2P] = QuietP2P,
        [DeviceState.PreCopy] = Free | DataRead,
        [DeviceState.PreCopyP2P] = QuietP2P | DataRead,
    };

    /// <summary>Everything a state allows on a back end; <see cref="None"/> for values that are no state.</summary>
    public static DeviceAction In(BackEnd backEnd, DeviceState state) =>
        (backEnd == BackEnd.Kernel ? Kernel : VfioUser).GetValueOrDefault(state, None);

    /// <summary>Whether every one of the actions given is allowed.</summary>
    public static bool Allows(BackEnd backEnd, DeviceState state, DeviceAction action) =>
        (In(backEnd, state) & action) == action;

    /// <summary>The same as a reason, for whoever asked.</summary>
    /// <returns>null: the action is allowed.</returns>
    public static string? Refusal(BackEnd backEnd, string device, DeviceState state, DeviceAction action) =>
        Allows(backEnd, state, action) ? null : $"{device} allows no {action} in {state}";
}
