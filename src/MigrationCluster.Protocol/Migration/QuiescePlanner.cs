using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Migration;

/// <summary>
/// Plans how a guest's devices quiesce (docs/groups.md). A group migrates only if every member can be P2P-quiet; a device that is alone
/// needs no P2P support. An edge of a member that cannot is in the way, unless its mapping may be removed for the blackout.
/// </summary>
public static class QuiescePlanner
{
    public const string NotQuiet = "group.not-quiet";
    public const string ForeignPeer = "group.foreign-peer";

    /// <summary>Every edge that is in the way, by name; empty: <see cref="Plan"/> has an answer.</summary>
    /// <param name="capabilities">by device; one that is not known is not judged here.</param>
    public static IEnumerable<Refusal> Judge(
        PeerGraph graph, IReadOnlyDictionary<string, MigrationCapabilities> capabilities, HostName host, CompatibilitySide side)
    {
        var devices = graph.Devices.ToHashSet();
        foreach (var edge in graph.Edges.Where(edge => edge.From != edge.To))
        {
            if (!devices.Contains(edge.From) || !devices.Contains(edge.To))
            {
                string stranger = devices.Contains(edge.From) ? edge.To : edge.From;
                string member = stranger == edge.To ? edge.From : edge.To;
                yield return new Refusal(
                    ForeignPeer, $"{member}: its P2P DMA ({edge}) has an end outside of this guest, which would stay on {host}",
                    $"remove the P2P edge from {edge.From} to {edge.To}: guests migrate apart", member, "a device of this guest", stranger, side);
                continue;
            }

            if (edge.Removable) continue;
            foreach (string member in new[] { edge.From, edge.To }.Where(name => PeerGraph.IsUnquiet(name, capabilities)))
                yield return new Refusal(
                    NotQuiet, $"{member}: does P2P DMA ({edge}) but cannot be P2P-quiet on {host}",
                    $"remove the P2P edge from {edge.From} to {edge.To}, let it be unmapped for the blackout (peerToPeerRemovable of " +
                    $"{edge.From}), or use a device with P2P support",
                    member, $"{MigrationCapabilities.P2P}", $"{capabilities[member]}", side);
        }
    }

    /// <summary>The plan of a guest that nothing is in the way of.</summary>
    /// <param name="pauseDeadline">what the whole of the source's half has; a member has a share of it.</param>
    public static QuiescePlan Plan(
        PeerGraph graph, IReadOnlyDictionary<string, MigrationCapabilities> capabilities, TimeSpan pauseDeadline)
    {
        var groups = graph.Groups(capabilities);
        var unmapped = graph.Unmapped(capabilities);
        var quiet = graph.Devices.Where(name => capabilities.GetValueOrDefault(name).HasFlag(MigrationCapabilities.P2P)).ToList();
        var source = MemberLimits.InBlackout(pauseDeadline);
        return new QuiescePlan(
            [
                .. graph.Devices.GroupBy(name => groups[name]).Where(group => group.Count() > 1)
                    .Select(group => (IReadOnlyList<string>)[.. group]),
            ],
            unmapped,
            [
                new(QuiesceStage.PauseMachine, null, null),
                .. unmapped.Select(edge => new QuiesceStep(QuiesceStage.UnmapEdges, edge.From, null)),
                .. quiet.Select(name => new QuiesceStep(QuiesceStage.Quiet, name, source)),
                .. graph.Devices.Select(name => new QuiesceStep(QuiesceStage.Stop, name, source)),
                new(QuiesceStage.ReadLastBitmaps, null, null),
                .. quiet.Select(name => new QuiesceStep(QuiesceStage.Return, name, MemberLimits.OnTheWayBack)),
                .. graph.Devices.Select(name => new QuiesceStep(QuiesceStage.Run, name, MemberLimits.OnTheWayBack)),
                .. unmapped.Select(edge => new QuiesceStep(QuiesceStage.MapEdges, edge.From, null)),
                new(QuiesceStage.ResumeMachine, null, null),
            ]);
    }
}

/// <summary>How long one member may take for one step.</summary>
public static class MemberLimits
{
    /// <summary>To Running again, on either side: a member that does not come back in this time is left behind by the others.</summary>
    public static readonly TimeSpan OnTheWayBack = TimeSpan.FromSeconds(5);

    /// <summary>Of the pause deadline a member has a third for each of its two steps, so that one that hangs is told by its name and the
    /// way back begins before the guest keeps itself.</summary>
    public static TimeSpan InBlackout(TimeSpan pauseDeadline) => pauseDeadline / 3;
}
