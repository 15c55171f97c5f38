using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Invariants;

/// <param name="Invariant">its name in DESIGN, e.g. AtMostOneOwner.</param>
public sealed record Violation(string Invariant, string Detail);

/// <summary>What must hold of a guest's ownership in every observation, and between two successive ones.</summary>
public static class OwnershipInvariants
{
    public static IEnumerable<Violation> Check(GuestObservation now)
    {
        var running = now.Hosts.Where(host => host.Runs).ToList();
        if (running.Count > 1)
            yield return new Violation("AtMostOneOwner",
                $"{now.Row.Guest} runs on {string.Join(" and ", running.Select(host => host.Host))}");

        foreach (var host in running)
        {
            bool committedHere = now.Row.Owner == host.Host;
            if (host.Fence.Permitted && !committedHere && now.Row.Epoch == host.Fence.Fence.Epoch)
                yield return new Violation("CommittedBeforeRunning",
                    $"{now.Row.Guest} runs on {host.Host} under a permit of {host.Fence.Fence.Epoch}, but the row names {now.Row.Owner}");
            if (!host.Fence.MayRun)
                yield return new Violation("CommittedBeforeRunning",
                    $"{now.Row.Guest} runs on {host.Host}, whose fence file does not let it ({host.Fence.Role}, yielded: {host.Fence.Yielded})");
        }

        foreach (var host in now.Hosts.Where(host => now.Row.Decision == OwnershipDecision.Committed && LacksItsVote(host, now.Row)))
            yield return new Violation("VotedBeforeCommitted",
                $"{now.Row.Guest} is committed to {now.Row.Owner} at {now.Row.Epoch} without the vote of {host.Host}");

        foreach (var host in now.Hosts.Where(host => host.Fence is { Kept: true, Yielded: true }))
            yield return new Violation("AtMostOneOwner", $"{host.Host} voted both Kept and Yielded at {host.Fence.Fence.Epoch}");
    }

    public static IEnumerable<Violation> CheckStep(GuestObservation before, GuestObservation after)
    {
        if (after.Row.Epoch < before.Row.Epoch)
            yield return new Violation("EpochsOnlyGrow", $"the row went from {before.Row.Epoch} to {after.Row.Epoch}");
        foreach (var host in after.Hosts)
        {
            var earlier = before.Hosts.FirstOrDefault(other => other.Host == host.Host);
            if (earlier is not null && host.Fence.Fence < earlier.Fence.Fence)
                yield return new Violation("EpochsOnlyGrow",
                    $"{host.Host}'s fence file went from {earlier.Fence.Fence} to {host.Fence.Fence}");
        }

        if (before.Row.Decision == OwnershipDecision.Aborted && after.Row.Decision == OwnershipDecision.Committed
            && before.Row.Epoch == after.Row.Epoch)
            yield return new Violation("AtMostOneOwner", "an aborted attempt was committed");
    }

    /// <summary>Once faults have stopped: exactly one host runs the guest, and it is the row's owner.</summary>
    public static IEnumerable<Violation> CheckHealed(GuestObservation now)
    {
        var running = now.Hosts.Where(host => host.Runs).Select(host => host.Host).ToList();
        if (running.Count != 1 || running[0] != now.Row.Owner)
            yield return new Violation("SomebodyOwns",
                $"after healing {now.Row.Guest} runs on [{string.Join(", ", running)}], the row names {now.Row.Owner}");
    }

    /// <summary>A host whose fence file is of the committed attempt: the new owner has voted Verified, the old one Yielded.</summary>
    private static bool LacksItsVote(HostObservation host, GuestRow row) =>
        host.Fence.Fence.Epoch == row.Epoch
        && (host.Host == row.Owner ? host.Fence.VerifiedDigest is null : host.Fence is { Role: GuestRole.Owner, Yielded: false });
}
