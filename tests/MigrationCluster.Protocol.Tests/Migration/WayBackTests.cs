using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Migration;

/// <summary>
/// Random guests with random P2P edges, stopped anywhere on the way to StopCopy, come back while any of their devices refuse, are late or
/// break at any step. At every step nobody who may start P2P DMA is mapped into one that stands still, wherever that really is.
/// </summary>
public sealed class WayBackTests
{
    private const MigrationCapabilities Quiet = MigrationCapabilities.StopCopy | MigrationCapabilities.P2P;

    private enum Ends
    {
        Moves = 0,

        /// <summary>It stays where it is, and tells.</summary>
        Refuses,

        /// <summary>It stays where it is, and nobody knows.</summary>
        Hangs,

        /// <summary>It moves, and nobody knows.</summary>
        MovesUnheard,

        Breaks,
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Every_failure_at_every_step_leaves_a_way_back_that_is_safe_and_ends(int failures)
    {
        for (int seed = 0; seed < 2000; seed++) Return(new Random(seed), failures);
    }

    /// <summary>What the barrier replaced: a device that does not move is taken to be in Error, and its peers run on.</summary>
    [Fact]
    public void Peers_that_run_without_isolating_it_run_into_a_device_that_stands_still()
    {
        PlannedDevice[] believed = [Stopped("net0") with { State = DeviceState.RunningP2P }, Stopped("gpu0") with { State = DeviceState.Error }];
        Assert.Equal("gpu0", Assert.IsType<BarrierStep.Isolate>(Assert.Single(RunningBarrier.Next(believed))).Device.Name.Value);

        PlannedDevice[] real = [believed[0] with { State = DeviceState.Running }, Stopped("gpu0")];
        Assert.Equal("QuiescedBeforeStopped", Assert.Single(GroupInvariants.Check(real, masterless: false)).Invariant);
        real[1] = real[1] with { Standing = MemberStanding.Isolated };
        Assert.Empty(GroupInvariants.Check(real, masterless: false));
    }

    private static void Return(Random random, int failures)
    {
        var (graph, capabilities) = RandomGuest(random);
        var groups = graph.Groups(capabilities);
        var real = graph.Devices.ToDictionary(name => name, name => new PlannedDevice(
            new DeviceName(name), capabilities[name], groups[name], Start(random, capabilities[name])));
        // Where the source's order leads: nobody stands still before all of its group are quiet.
        Assert.Empty(GroupInvariants.Check(real.Values, masterless: false));
        var believed = real.ToDictionary();
        int steps = 0;
        while (RunningBarrier.Next([.. believed.Values]) is { Count: > 0 } pending)
        {
            Assert.True(++steps < 200, "the way back does not end");
            // Effects run side by side and end in any order.
            var step = pending[random.Next(pending.Count)];
            string name = step.Device.Name.Value;
            if (step is BarrierStep.Isolate)
            {
                believed[name] = believed[name] with { Standing = MemberStanding.Isolated };
                real[name] = real[name] with { Standing = MemberStanding.Isolated };
            }
            else
            {
                Assert.Equal(MemberStanding.Member, believed[name].Standing);
                var end = failures > 0 && random.Next(3) == 0 ? (Ends)random.Next(1, 5) : Ends.Moves;
                if (end != Ends.Moves) failures--;
                Move(real, believed, name, ((BarrierStep.Move)step).Target, end);
            }

            Check(graph.Edges.Except(graph.Unmapped(capabilities)), real);
        }

        Assert.All(believed.Values, device => Assert.True(
            device.State == DeviceState.Running || device.Standing == MemberStanding.Isolated, $"{device} was forgotten"));
    }

    private static void Move(
        Dictionary<string, PlannedDevice> real, Dictionary<string, PlannedDevice> believed, string name, DeviceState target, Ends end)
    {
        if (end is Ends.Moves or Ends.MovesUnheard) real[name] = real[name] with { State = target };
        if (end == Ends.Breaks) real[name] = real[name] with { State = DeviceState.Error };
        believed[name] = end switch
        {
            Ends.Moves => believed[name] with { State = target },
            Ends.Refuses => believed[name] with { Standing = MemberStanding.GivenUp },
            _ => believed[name] with { State = DeviceState.Error, Standing = MemberStanding.GivenUp },
        };
    }

    /// <summary>By the groups, as the invariant has it; and by each edge, which is what a bus does.</summary>
    private static void Check(IEnumerable<PeerEdge> mapped, Dictionary<string, PlannedDevice> real)
    {
        Assert.Empty(GroupInvariants.Check(real.Values, masterless: false));
        foreach (var edge in mapped)
        {
            var (from, to) = (real[edge.From], real[edge.To]);
            bool cut = from.Standing == MemberStanding.Isolated || to.Standing == MemberStanding.Isolated;
            Assert.True(
                cut || !PeerOrder.StartsP2P(from.State) || to.State is not (DeviceState.Stop or DeviceState.StopCopy),
                $"{from} runs into {to}");
        }
    }

    private static (PeerGraph Graph, Dictionary<string, MigrationCapabilities> Capabilities) RandomGuest(Random random)
    {
        int count = random.Next(1, 7);
        string[] names = [.. Enumerable.Range(0, count).Select(i => $"d{i}")];
        var capabilities = names.ToDictionary(name => name, _ => random.Next(3) == 0 ? MigrationCapabilities.StopCopy : Quiet);
        var graph = PeerGraph.Of(names.Select(name => (
            name, (IReadOnlyList<string>)[.. names.Where(peer => peer != name && random.Next(count) == 0)], random.Next(2) == 0)));
        // What planning refuses does not get here.
        var refused = QuiescePlanner.Judge(graph, capabilities, new HostName("alpha"), CompatibilitySide.Source)
            .Select(refusal => refusal.Device!).ToHashSet();
        foreach (string name in refused) capabilities[name] = Quiet;
        return (graph, capabilities);
    }

    private static DeviceState Start(Random random, MigrationCapabilities capabilities) =>
        (capabilities.HasFlag(MigrationCapabilities.P2P), random.Next(3)) switch
        {
            (true, 0) => DeviceState.RunningP2P,
            (false, 0) => DeviceState.Running,
            (_, 1) => DeviceState.Stop,
            _ => DeviceState.StopCopy,
        };

    private static PlannedDevice Stopped(string name) => new(new DeviceName(name), Quiet, 0, DeviceState.Stop);
}
