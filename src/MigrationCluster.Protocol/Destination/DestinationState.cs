using System.Collections.Immutable;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Destination;

public enum DestinationPhase
{
    New = 0,
    Preparing,
    Prepared,
    Checking,
    Arming,
    Receiving,
    Loading,
    Verified,
    Permitting,
    Resuming,
    Resumed,
    Discarding,
    Discarded,
    Proving,
    Proven,
}

/// <summary>One attempt as the destination host sees it; derived from its events alone.</summary>
/// <param name="Devices">every device of the guest, and the machine under <see cref="DeviceName.Machine"/>.</param>
/// <param name="Configuration">of the source's devices; null: this host's templates' own.</param>
/// <param name="UnknownAcceptedBy">the operator who takes unknown verdicts upon himself; null: they refuse.</param>
/// <param name="Digest">of the manifest, once everything has arrived.</param>
/// <param name="Opening">how often the data plane was opened again for it, by later lives of the daemon.</param>
/// <param name="TransferOpen">the data plane takes its connections.</param>
/// <param name="PlainAcceptedBy">the operator who has guest RAM travel unsealed; null: beyond loopback it is sealed.</param>
/// <param name="Coordinator">the node that ordered it to be prepared, which its process is tagged with; null: it did not say.</param>
/// <param name="Failure">why work has stopped until the coordinator decides; null while all is well.</param>
public sealed record DestinationState(
    DestinationPhase Phase,
    MigrationId Migration,
    GuestName Guest,
    Fence Fence,
    string SpecJson,
    IReadOnlyList<DeviceConfiguration>? Configuration,
    ImmutableSortedDictionary<string, PlannedDevice> Devices,
    IReadOnlyList<SetupRecord> Records,
    string? UnknownAcceptedBy,
    string? Digest,
    string? Failure,
    int Opening = 0,
    bool TransferOpen = false,
    string? PlainAcceptedBy = null,
    HostName? Coordinator = null)
{
    public static readonly DestinationState New = new(
        DestinationPhase.New, default, default, default, "", null,
        ImmutableSortedDictionary<string, PlannedDevice>.Empty, [], null, null, null);

    public PlannedDevice Machine => Devices[DeviceName.Machine.Value];

    public IEnumerable<PlannedDevice> Members => Devices.Values.Where(device => device.Name != DeviceName.Machine);

    public DestinationState With(DeviceName device, DeviceState state, MemberStanding standing = MemberStanding.Member)
    {
        var before = Devices[device.Value];
        var after = before with { State = state, Standing = standing > before.Standing ? standing : before.Standing };
        return this with { Devices = Devices.SetItem(device.Value, after) };
    }
}
