using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Coordination;

/// <summary>
/// What of a guest is not as its row says. The row is the only truth; an order is proposed only where the row is decided and its epoch
/// covers what is found, so that whoever takes it loses nothing that could still be decided for it.
/// </summary>
public static class Deviations
{
    /// <param name="state">of the row's attempt; null: the row has none.</param>
    /// <param name="coordinated">somebody alive coordinates it, or it has ended.</param>
    public static IReadOnlyList<Deviation> Of(
        GuestRecord record, CoordinatorState? state, bool coordinated, IReadOnlyList<HostLook> hosts)
    {
        var (row, found) = (record.Row, new List<Deviation>());
        string says = WhyVerdict.Words(record);
        bool open = state is { Plan: not null, Ended: false } || row.Decision == OwnershipDecision.Undecided;
        if (open && !coordinated)
            found.Add(new Deviation(new DeviationView(
                "migration.uncoordinated", $"nobody coordinates {row.Attempt} at the moment", [says],
                Done: state?.Plan is null
                    ? "left to the coordinators' rounds: it was never planned, so its row becomes aborted"
                    : "left to the coordinators' rounds: one of them takes it on")));
        foreach (var look in hosts)
        {
            if (look.Traces is not { } traces)
            {
                if (IsNeeded(look.Host, record, state, open)) found.Add(Silent(look, row, says));
                continue;
            }

            foreach (var session in traces.Sessions.Where(session => session.Guest == row.Guest && !(open && session.Migration == row.Attempt)))
                found.Add(LeftSession(look.Host, session, row, says));
            if (traces.Guests.FirstOrDefault(trace => trace.Guest == row.Guest) is not { } trace)
            {
                if (!open && row.Owner == look.Host && record.Placement == Placement.Placed) found.Add(Lost(look.Host, row, says));
                continue;
            }

            bool told = traces.Sessions.Any(session => session.Guest == row.Guest);
            if (Judge(record, state, open, look.Host, trace, told, says) is { } deviation) found.Add(deviation);
        }

        return found;
    }

    /// <summary>Guests on hosts that no row knows of.</summary>
    public static IEnumerable<DeviationView> WithoutRow(IReadOnlyList<GuestRecord> records, IReadOnlyList<HostLook> hosts) =>
        from look in hosts
        from trace in look.Traces?.Guests ?? []
        where trace.Processes.Count > 0 && records.All(record => record.Row.Guest != trace.Guest)
        select new DeviationView(
            "guest.without-row", $"{trace.Guest} lives on {look.Host}, and no row knows of it",
            [$"{look.Host}: {WhyVerdict.Words(trace)}"],
            Needed: "find out which cluster it belongs to; nothing is ended on a guess");

    private static Deviation? Judge(
        GuestRecord record, CoordinatorState? state, bool open, HostName host, GuestTrace trace, bool told, string says)
    {
        var row = record.Row;
        string[] evidence = [says, $"{host}: {WhyVerdict.Words(trace)}"];
        if (trace.Problem is not null)
            return new Deviation(new DeviationView(
                "fence.unreadable", $"the fence file of {row.Guest} on {host} cannot be read", evidence,
                Needed: $"restore the file from {host}'s disk; without it nothing of {row.Guest} may run there"));
        bool lives = trace.Processes.Count > 0;
        if (open || !lives && row.Owner != host) return null;
        if (record.Placement != Placement.Placed)
            return lives
                ? new Deviation(new DeviationView(
                    "guest.given-up", $"{row.Guest} was stopped, but lives on {host}", evidence, Needed: $"`migctl guest stop {row.Guest}`"))
                : null;
        if (row.Owner == host) return lives ? null : Lost(host, row, says);
        return trace.Fence switch
        {
            { Role: GuestRole.Incoming } fence when Covers(row, fence.Fence.Epoch) => told ? null : new Deviation(
                new DeviationView("incoming.left-over", $"an incoming process of {row.Guest} was left on {host}", evidence),
                (host, new DiscardIncoming(row.Attempt ?? new MigrationId("reconcile"), row.Guest, At(row, fence.Fence)),
                    $"{host} was told to discard it")),
            { Role: GuestRole.Owner, Yielded: true } fence when Covers(row, fence.Fence.Epoch) && state?.Plan?.Source == host => told ? null : new Deviation(
                new DeviationView("source.not-released", $"{host} has not released its copy of {row.Guest}", evidence),
                (host, new ReleaseGuest(row.Attempt!.Value, row.Guest, At(row, fence.Fence)), $"{host} was told to release it")),
            { MayRun: true } => new Deviation(new DeviationView(
                "guest.against-the-row", $"{row.Guest} lives on {host}, which the row does not name", evidence,
                Needed: $"make sure that {row.Owner} runs it with a clean self-check (`migctl guest check {row.Guest}`), then end the process on " +
                    $"{host} by hand; it is not ended on a guess")),
            _ => new Deviation(new DeviationView(
                "guest.held", $"a process of {row.Guest} on {host} waits for nobody", evidence,
                Needed: $"end it on {host} by hand once {row.Owner} runs {row.Guest}")),
        };
    }

    private static Deviation LeftSession(HostName host, SessionTrace session, GuestRow row, string says)
    {
        var view = new DeviationView(
            "session.left-over", $"{host} still waits with {session.Migration}, which has ended",
            [says, $"{host}: {session.Side.ToString().ToLowerInvariant()} at {session.Fence}, {session.Phase}" +
                (session.Failure is { } failure ? $" ({failure})" : "")]);
        if (!Covers(row, session.Fence.Epoch))
            return new Deviation(view with { Needed = $"its epoch is not older than the row's: `migctl migration why {session.Migration}` tells more" });
        var fence = At(row, session.Fence);
        return session.Side == Side.Destination
            ? new Deviation(view, (host, new DiscardIncoming(session.Migration, row.Guest, fence), $"{host} was told to discard its copy"))
            : row.Owner == host
                ? new Deviation(view, (host, new KeepGuest(session.Migration, row.Guest, fence), $"{host} was told to keep the guest"))
                : new Deviation(view, (host, new ReleaseGuest(session.Migration, row.Guest, fence), $"{host} was told to release its copy"));
    }

    private static Deviation Silent(HostLook look, GuestRow row, string says) => new(new DeviationView(
        "host.silent", $"{look.Host} does not answer, and {row.Guest} needs it", [says, look.Problem!],
        Needed: $"bring {look.Host} back; or, once you have made sure that it is dead for good: --host-is-dead {look.Host}"));

    private static Deviation Lost(HostName host, GuestRow row, string says) => new(new DeviationView(
        "guest.lost", $"{row.Guest} should run on {host} and does not", [says, $"{host}: no process of it lives"],
        Needed: $"`migctl guest stop {row.Guest}`, then start it again"));

    private static bool IsNeeded(HostName host, GuestRecord record, CoordinatorState? state, bool open) =>
        record.Placement == Placement.Placed && (record.Row.Owner == host
            || (open && state is { Plan: { } plan } && ((plan.Source == host && !state.SourceHostDead)
                || (plan.Destination == host && !state.DestinationHostDead))));

    /// <summary>The row has decided about this epoch, or is past it.</summary>
    private static bool Covers(GuestRow row, Epoch epoch) => row.Decision != OwnershipDecision.Undecided
        ? epoch <= row.Epoch
        : epoch < row.Epoch;

    private static Fence At(GuestRow row, Fence found) =>
        found.Epoch < row.Epoch ? new Fence(row.Epoch, new Term(0)) : found;
}
