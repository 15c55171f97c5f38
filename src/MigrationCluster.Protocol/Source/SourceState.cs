using System.Collections.Immutable;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Source;

public enum SourcePhase
{
    New = 0,
    CollectingSetup,
    Negotiated,
    PreCopy,
    Ready,
    Pausing,
    Quiescing,
    Stopping,
    Copying,
    Sent,
    Yielding,
    Yielded,
    KeepVoting,
    Keeping,
    Kept,
    Releasing,
    Released,
    Died,
}

/// <summary>One attempt as the source host sees it; derived from its events alone.</summary>
/// <param name="Devices">every device of the guest, and the machine under <see cref="DeviceName.Machine"/>.</param>
/// <param name="PutOff">a switchover that was asked for did not come about: a device took its readiness back.</param>
/// <param name="Failure">why work has stopped until the coordinator decides; null while all is well.</param>
public sealed record SourceState(
    SourcePhase Phase,
    MigrationId Migration,
    GuestName Guest,
    Fence Fence,
    ImmutableSortedDictionary<string, PlannedDevice> Devices,
    string? DataEndpoint,
    string? Token,
    TimeSpan MaxDowntime,
    TimeSpan PauseDeadline,
    bool TransferOpen,
    int Iteration,
    PassObservation? LastPass,
    string? Failure,
    bool PutOff = false)
{
    public static readonly SourceState New = new(
        SourcePhase.New, default, default, default, ImmutableSortedDictionary<string, PlannedDevice>.Empty,
        null, null, default, default, false, 0, null, null);

    public PlannedDevice Machine => Devices[DeviceName.Machine.Value];

    /// <summary>All devices but the machine.</summary>
    public IEnumerable<PlannedDevice> Members => Devices.Values.Where(device => device.Name != DeviceName.Machine);

    public SourceState With(DeviceName device, DeviceState state, MemberStanding standing = MemberStanding.Member)
    {
        var before = Devices[device.Value];
        var after = before with { State = state, Standing = standing > before.Standing ? standing : before.Standing };
        return this with { Devices = Devices.SetItem(device.Value, after) };
    }
}
