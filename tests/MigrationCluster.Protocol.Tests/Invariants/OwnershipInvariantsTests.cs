using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Invariants;

public sealed class OwnershipInvariantsTests
{
    private static readonly GuestRow Committed =
        GuestRow.Start(Guest, new HostName("a"), new Epoch(1)).Open(Id, new HostName("b"))!.Commit(Id, At.Epoch)!;

    private static readonly FenceRecord Yielded = new(Guest, At, GuestRole.Owner, Yielded: true);
    private static readonly FenceRecord Verified = new(Guest, At, GuestRole.Incoming, VerifiedDigest: "d");

    [Fact]
    public void A_decision_has_both_votes()
    {
        Assert.Empty(Check(Yielded, Verified));
        Assert.Equal("VotedBeforeCommitted", Assert.Single(Check(Yielded with { Yielded = false }, Verified)).Invariant);
        Assert.Equal("VotedBeforeCommitted", Assert.Single(Check(Yielded, Verified with { VerifiedDigest = null })).Invariant);
    }

    [Fact]
    public void Two_hosts_that_run_the_machine_are_named() =>
        Assert.Contains(
            Check(Yielded, Verified with { Role = GuestRole.Owner, Permitted = true }, DeviceState.Running),
            violation => violation.Invariant == "AtMostOneOwner");

    private static IEnumerable<Violation> Check(FenceRecord source, FenceRecord destination, DeviceState machines = DeviceState.Stop) =>
        OwnershipInvariants.Check(new GuestObservation(Committed, [Host("a", source, machines), Host("b", destination, machines)]));

    private static HostObservation Host(string name, FenceRecord fence, DeviceState machine) =>
        new(new HostName(name), fence, machine, new Dictionary<string, DeviceState>());
}
