using MigrationCluster.Chaos.Cluster.Judging;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>Histories that the machines made are allowed; the same with one thing wrong are not.</summary>
public sealed class JudgeTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>A coordinator that begins, is taken over, and is cancelled, as its machine decides it.</summary>
    private static List<CoordinatorEvent> Cancelled()
    {
        var planned = WireSamples.CoordinatorEvents.OfType<CoordinatorEvent.Planned>().Single();
        var machine = new CoordinatorMachine();
        var state = CoordinatorState.New;
        var events = new List<CoordinatorEvent>();
        foreach (var command in (CoordinatorCommand[])
        [
            new CoordinatorCommand.Begin(planned.Plan, At, planned.By),
            new CoordinatorCommand.TakeOver(new Term(planned.Plan.Fence.Term.Value + 1), At, planned.By),
            new CoordinatorCommand.Cancel(At),
        ])
            foreach (var e in Assert.IsType<Accepted<CoordinatorEvent>>(machine.Decide(state, command)).Events)
            {
                state = machine.Evolve(state, e);
                events.Add(e);
            }

        return events;
    }

    private static string[] Bodies(IEnumerable<CoordinatorEvent> events) => [.. events.Select(WireJson.Write<CoordinatorEvent>)];

    [Fact]
    public void A_coordinators_journal_that_its_machine_made_is_allowed() => Assert.Empty(JournalJudge.Coordinator("m", Bodies(Cancelled())));

    [Fact]
    public void A_phase_that_nothing_led_to_is_found()
    {
        var events = Cancelled();
        events.Insert(3, new CoordinatorEvent.PhaseEntered(MigrationPhase.Completed, At));

        Assert.Contains("PhaseEntered", Assert.Single(JournalJudge.Coordinator("m", Bodies(events))).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_term_that_does_not_grow_is_found()
    {
        var events = Cancelled();
        events.Insert(3, events.OfType<CoordinatorEvent.TookOver>().Single());

        Assert.Contains("TookOver", Assert.Single(JournalJudge.Coordinator("m", Bodies(events))).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Half_a_decision_is_found()
    {
        var events = Cancelled();
        events.RemoveAt(events.Count - 1);

        Assert.Single(JournalJudge.Coordinator("m", Bodies(events)));
    }

    [Fact]
    public void What_cannot_be_read_is_found() => Assert.Single(JournalJudge.Coordinator("m", ["{ torn"]));

    [Fact]
    public void A_source_that_yields_before_it_has_sent_anything_is_found()
    {
        var migration = new MigrationId("m");
        string[] legal = [WireJson.Write<AgentEvent>(new SourceOpened(migration, At, new GuestName("g"), default)), WireJson.Write<AgentEvent>(new KeepRequested(migration, At, default, "x"))];
        string[] illegal = [legal[0], WireJson.Write<AgentEvent>(new GuestYielded(migration, At))];

        Assert.Empty(JournalJudge.Source("m", legal));
        Assert.Contains("GuestYielded", Assert.Single(JournalJudge.Source("m", illegal)).Detail, StringComparison.Ordinal);
        Assert.False(JournalJudge.Allows(SourcePhase.Copying, SourcePhase.Yielded));
    }

    [Fact]
    public void A_device_that_stands_while_one_of_its_group_runs_is_found_unless_both_were_read_at_once()
    {
        Assert.Contains("net0", Assert.Single(JournalJudge.Source("m", Moved(later: 1))).Detail, StringComparison.Ordinal);
        Assert.Empty(JournalJudge.Source("m", Moved(later: 0)));
    }

    [Fact]
    public void An_order_that_the_guest_refused_is_found_and_one_over_a_device_in_Error_is_none()
    {
        string[] Failed(DeviceState peer) =>
        [
            .. Moved(later: 0),
            WireJson.Write<AgentEvent>(new SourceFailed(
                new MigrationId("m"), At, "source.device-refused", PeerOrder.Refusal("net0", DeviceState.RunningP2P, DeviceState.Running, [], [("gpu0", peer)])!)),
        ];

        Assert.Contains("refused an order", Assert.Single(JournalJudge.Source("m", Failed(DeviceState.StopCopy))).Detail, StringComparison.Ordinal);
        Assert.Empty(JournalJudge.Source("m", Failed(DeviceState.Error)));
    }

    /// <summary>A source whose two devices of a group have stopped, so many seconds after one another.</summary>
    private static string[] Moved(int later)
    {
        var migration = new MigrationId("m");
        PlannedDevice Device(string name) => new(new DeviceName(name), MigrationCapabilities.StopCopy | MigrationCapabilities.P2P, 0, DeviceState.Running);
        return
        [
            .. ((AgentEvent[])
            [
                new SourceOpened(migration, At, new GuestName("g"), default),
                new SetupCollected(migration, At, [], [Device("net0"), Device("gpu0")]),
                new DeviceStateReached(migration, At, new DeviceName("net0"), DeviceState.Stop),
                new DeviceStateReached(migration, At.AddSeconds(later), new DeviceName("gpu0"), DeviceState.Stop),
            ]).Select(WireJson.Write<AgentEvent>),
        ];
    }
}
