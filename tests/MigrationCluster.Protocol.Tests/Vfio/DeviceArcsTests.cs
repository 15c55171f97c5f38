using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Vfio.DeviceState;

namespace MigrationCluster.Protocol.Tests.Vfio;

/// <summary>Recomputes the way between every pair of states from the rule, by breadth-first search.</summary>
public sealed class DeviceArcsTests
{
    private const MigrationCapabilities All =
        MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;

    public static TheoryData<MigrationCapabilities> EveryCombination =>
        new(Enumerable.Range(0, 8).Select(bits => (MigrationCapabilities)bits));

    [Theory]
    [MemberData(nameof(EveryCombination))]
    public void Every_pair_takes_the_shortest_path_of_the_rule(MigrationCapabilities capabilities)
    {
        foreach (var from in Enum.GetValues<DeviceState>())
            foreach (var to in Enum.GetValues<DeviceState>())
            {
                var expected = ShortestPaths(from, to, capabilities);
                var actual = DeviceArcs.Path(from, to, capabilities);
                Assert.True(expected.Count <= 1, $"{from} -> {to}: the rule leaves {expected.Count} shortest paths");
                Assert.Equal(expected.SingleOrDefault(), actual);
                Assert.Equal(from == to ? expected.Count == 0 ? null : to : expected.FirstOrDefault()?[0],
                    DeviceArcs.Next(from, to, capabilities));
            }
    }

    [Fact]
    public void Leaving_pre_copy_for_stop_runs_through_running() =>
        Assert.Equal([Running, RunningP2P, Stop], DeviceArcs.Path(PreCopy, Stop, All));

    [Theory]
    [InlineData(StopCopy, PreCopy)]
    [InlineData(StopCopy, PreCopyP2P)]
    [InlineData(Error, Running)]
    [InlineData(Running, Error)]
    [InlineData(Error, Error)]
    [InlineData(Running, (DeviceState)8)]
    [InlineData((DeviceState)8, Running)]
    public void Refuses(DeviceState from, DeviceState to)
    {
        Assert.Null(DeviceArcs.Next(from, to, All));
        Assert.Null(DeviceArcs.Path(from, to, All));
    }

    [Fact]
    public void A_device_without_stop_copy_only_runs()
    {
        const MigrationCapabilities none = MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;
        foreach (var to in Enum.GetValues<DeviceState>())
            Assert.Equal(to == Running ? Running : null, DeviceArcs.Next(Running, to, none));
    }

    /// <summary>All shortest paths, without their first state, over the arcs left when a missing P2P state is bridged.</summary>
    private static List<IReadOnlyList<DeviceState>> ShortestPaths(DeviceState from, DeviceState to, MigrationCapabilities caps)
    {
        if (from == Error || to == Error || !Supported(from, caps) || !Supported(to, caps)) return [];
        if (from == StopCopy && to is PreCopy or PreCopyP2P) return [];
        bool savingInside = Saving(from) && Saving(to);
        var arcs = ArcsOf(caps);
        List<List<DeviceState>> frontier = [[from]];
        HashSet<DeviceState> seen = [from];
        while (frontier.Count > 0)
        {
            var found = frontier.Where(path => path[^1] == to).ToList();
            if (found.Count > 0) return [.. found.Select(path => (IReadOnlyList<DeviceState>)path[1..])];
            frontier = [.. frontier.SelectMany(path => arcs
                .Where(arc => arc.From == path[^1] && !seen.Contains(arc.To))
                .Where(arc => arc.To == to || savingInside || !Saving(arc.To))
                .Select(arc => new List<DeviceState>(path) { arc.To }))];
            seen.UnionWith(frontier.Select(path => path[^1]));
        }
        return [];
    }

    /// <summary>The uAPI's arcs, written out a second time: with P2P, and without.</summary>
    private static List<(DeviceState From, DeviceState To)> ArcsOf(MigrationCapabilities caps)
    {
        bool p2p = caps.HasFlag(MigrationCapabilities.P2P);
        (DeviceState, DeviceState)[] both = p2p
            ? [(Running, RunningP2P), (RunningP2P, Stop), (Stop, StopCopy), (Stop, Resuming), (Running, PreCopy),
                (RunningP2P, PreCopyP2P), (PreCopy, PreCopyP2P)]
            : [(Running, Stop), (Stop, StopCopy), (Stop, Resuming), (Running, PreCopy)];
        (DeviceState From, DeviceState To)[] arcs =
            [.. both, .. both.Select(arc => (arc.Item2, arc.Item1)), (p2p ? PreCopyP2P : PreCopy, StopCopy)];
        return [.. arcs.Where(arc => Supported(arc.From, caps) && Supported(arc.To, caps))];
    }

    private static bool Saving(DeviceState state) => state is PreCopy or PreCopyP2P or StopCopy;

    private static bool Supported(DeviceState state, MigrationCapabilities caps)
    {
        MigrationCapabilities needs = state switch
        {
            Error or Running => MigrationCapabilities.None,
            RunningP2P => MigrationCapabilities.StopCopy | MigrationCapabilities.P2P,
            PreCopy => MigrationCapabilities.StopCopy | MigrationCapabilities.PreCopy,
            PreCopyP2P => All,
            _ => MigrationCapabilities.StopCopy,
        };
        return (caps & needs) == needs;
    }
}
