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
/// <param name="Opening">which opening of the destination's data plane <paramref name="DataEndpoint"/> is.</param>
/// <param name="LostAt">since when there is no connection to it; null: there is, or none was tried for yet.</param>
/// <param name="PausedAt">when the machine was paused; null: it was not.</param>
/// <param name="Readiness">how often it has been ready to switch over; in PreCopy again after it was, the switchover was put off.</param>
/// <param name="PlainAcceptedBy">the operator who has guest RAM travel unsealed; null: beyond loopback it is sealed.</param>
/// <param name="VerifyFull">a hash of all of RAM is sent with the manifest.</param>
/// <param name="MaxBytesPerSecond">of the transfer while the guest runs; null: as fast as it can.</param>
/// <param name="BandwidthChange">which change of it that was; 0: none, it is as it began.</param>
/// <param name="Passes">of pre-copy that are over, the oldest first.</param>
/// <param name="Policy">null: the limit alone.</param>
/// <param name="Costs">what earlier blackouts cost, as it was known when pre-copy began; null: it was not.</param>
/// <param name="PreCopyAt">when pre-copy began.</param>
/// <param name="ThrottlePercent">by how much the vCPUs are slowed.</param>
/// <param name="DeviceModels">by device name, of those that say so; null: setup was not collected.</param>
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
    ImmutableList<PassObservation> Passes,
    string? Failure,
    int Readiness = 0,
    int Opening = 0,
    DateTimeOffset? LostAt = null,
    DateTimeOffset? PausedAt = null,
    string? PlainAcceptedBy = null,
    bool VerifyFull = false,
    long? MaxBytesPerSecond = null,
    int BandwidthChange = 0,
    ConvergencePolicy? Policy = null,
    LearnedCosts? Costs = null,
    DateTimeOffset? PreCopyAt = null,
    int ThrottlePercent = 0,
    ImmutableSortedDictionary<string, string>? DeviceModels = null)
{
    public static readonly SourceState New = new(
        SourcePhase.New, default, default, default, ImmutableSortedDictionary<string, PlannedDevice>.Empty,
        null, null, default, default, false, 0, [], null);

    public PlannedDevice Machine => Devices[DeviceName.Machine.Value];

    /// <summary>What their costs are learned under.</summary>
    public ImmutableSortedDictionary<string, string> Models => DeviceModels ?? ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>All devices but the machine.</summary>
    public IEnumerable<PlannedDevice> Members => Devices.Values.Where(device => device.Name != DeviceName.Machine);

    public SourceState With(DeviceName device, DeviceState state, MemberStanding standing = MemberStanding.Member)
    {
        var before = Devices[device.Value];
        var after = before with { State = state, Standing = standing > before.Standing ? standing : before.Standing };
        return this with { Devices = Devices.SetItem(device.Value, after) };
    }
}
