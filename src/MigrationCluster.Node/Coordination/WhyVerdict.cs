using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Coordination;

/// <summary>Who may run the guest now. The row alone says so; fence files and processes say whether the hosts follow it.</summary>
public static class WhyVerdict
{
    public static WhyVerdictView Of(MigrationPlan plan, CoordinatorState state, GuestRecord? record, IReadOnlyList<HostEvidence> hosts)
    {
        if (record is null) return new WhyVerdictView(null, $"Nobody can say: {plan.Guest} has no row", []);
        var (owner, statement) = Owner(plan, state, record, hosts);
        return new WhyVerdictView(owner?.Value, statement, [Words(record), .. hosts.SelectMany(host => Words(host, plan.Guest))]);
    }

    private static (HostName? Owner, string Statement) Owner(
        MigrationPlan plan, CoordinatorState state, GuestRecord record, IReadOnlyList<HostEvidence> hosts)
    {
        var (guest, row) = (plan.Guest, record.Row);
        if (record.Placement != Placement.Placed) return (null, $"Nobody owns {guest}: it was stopped since");
        if (row.Attempt != plan.Migration)
            return (row.Owner, row.Attempt is { } later
                ? $"{row.Owner} owns {guest}, by a later migration: `migctl migration why {later}` tells of it"
                : $"{row.Owner} owns {guest}: it was started there since");
        if (state.Phase == MigrationPhase.GuestLost)
            return (null, $"Nobody owns {guest}: no complete copy of it is left that may run");
        if (row.Decision != OwnershipDecision.Undecided) return (row.Owner, $"{row.Owner} owns {guest}");
        return state.Yielded || Fence(hosts, plan.Source, guest) is { Yielded: true } fence && fence.Fence.Epoch == row.Epoch
            ? (null, $"Nobody may run {guest} until the row is decided: {plan.Source} has yielded it at {row.Epoch}; commit makes " +
                $"{plan.Destination} its owner, abort {plan.Source}")
            : (row.Owner, $"{row.Owner} owns {guest}: the migration is not decided");
    }

    /// <summary>The row in words.</summary>
    public static string Words(GuestRecord record) => record.Row switch
    {
        { Attempt: null } row => $"the row says: {row.Owner} at {row.Epoch}, {record.Placement.ToString().ToLowerInvariant()}",
        { Decision: OwnershipDecision.Undecided } row => $"the row says: undecided at {row.Epoch} between {row.Owner} and {row.Destination}, for {row.Attempt}",
        var row => $"the row says: {row.Decision.ToString().ToLowerInvariant()} at {row.Epoch} for {row.Attempt}, owner {row.Owner}",
    };

    private static IEnumerable<string> Words(HostEvidence evidence, GuestName guest)
    {
        if (evidence.Traces is not { } traces) yield break;
        yield return traces.Guests.FirstOrDefault(trace => trace.Guest == guest) is { } there
            ? $"{evidence.Host}: {Words(there)}"
            : $"{evidence.Host}: no process and no fence file of {guest}";
    }

    /// <summary>What is on a host in words.</summary>
    public static string Words(GuestTrace trace)
    {
        string processes = trace.Processes.Count == 0 ? "no process lives" : $"processes {string.Join(", ", trace.Processes)} live";
        return trace switch
        {
            { Problem: { } problem } => $"{problem}; {processes}",
            { Fence: { } fence } => $"its fence file says {Words(fence)}; {processes}",
            _ => $"no fence file; {processes}",
        };
    }

    private static string Words(FenceRecord fence)
    {
        var said = new List<string> { $"{fence.Role.ToString().ToLowerInvariant()} at {fence.Fence}" };
        if (fence.VerifiedDigest is { } digest) said.Add($"Verified of {digest}");
        if (fence.Permitted) said.Add("Permit");
        if (fence.Kept) said.Add("Kept");
        if (fence.Yielded) said.Add("Yielded");
        return string.Join(", ", said);
    }

    private static FenceRecord? Fence(IReadOnlyList<HostEvidence> hosts, HostName host, GuestName guest) =>
        hosts.FirstOrDefault(one => one.Host == host)?.Traces?.Guests.FirstOrDefault(trace => trace.Guest == guest)?.Fence;
}
