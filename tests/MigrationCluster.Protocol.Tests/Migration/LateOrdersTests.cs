using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Migration;

/// <summary>
/// In every state that a migration comes through, on both sides, every order there is: late (of an older coordinator or an older
/// attempt), of another migration, for the other side, or a second time. None of them does anything, and each is answered by name.
/// </summary>
public sealed class LateOrdersTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    public static TheoryData<string> Ways => ["completed", "rolled back", "the guest died"];

    [Theory]
    [MemberData(nameof(Ways))]
    public void At_the_source(string way)
    {
        var story = Stories.Source();
        var orders = new Judge<SourceState, SourceCommand, SourceEffect>(
            new SourceMachine(), story, order => new SourceCommand.Order(order, default), () => story.State.Fence, Side.Source);

        orders.Give(new CollectSetup(Id, Guest, At));
        orders.Tell(new SourceCommand.SetupRead(NoRecords, Devices(DeviceState.Running), default));
        orders.Give(new StartPreCopy(Id, Guest, At, "127.0.0.1:1", "00", Second));
        orders.Tell(new SourceCommand.TransferConnected(0, default));
        orders.MoveWhile(story.MoveAll, () => story.Pending[0] is SourceEffect.MoveDevice);
        orders.Give(new LimitBandwidth(Id, Guest, At, 1 << 20, 1));
        orders.Tell(new SourceCommand.IterationEnded(new PassObservation(1, Second, 40960, 0), 10, default));
        orders.Give(new SwitchOver(Id, Guest, At, Second));
        orders.MoveWhile(story.MoveAll, () => story.State.Phase < SourcePhase.Copying);
        orders.Tell(new SourceCommand.FinalSent("d", default, new TransferTotals(0, 0, 0, new Dictionary<string, long>()), default));
        var none = new Dictionary<string, DeviceState>();
        switch (way)
        {
            case "completed":
                orders.Give(new YieldGuest(Id, Guest, At));
                orders.Tell(new SourceCommand.VoteCast(Vote.Yielded, none, default));
                orders.Give(new ReleaseGuest(Id, Guest, At));
                orders.Tell(new SourceCommand.ReleaseEnded([], new Dictionary<string, string>(), default));
                Assert.IsType<GuestReleased>(story.Events[^1]);
                break;
            case "rolled back":
                orders.Give(new KeepGuest(Id, Guest, Raised));
                orders.Tell(new SourceCommand.VoteCast(Vote.Kept, none, default));
                orders.MoveWhile(story.MoveAll, () => story.Pending.Count > 0);
                Assert.IsType<GuestKept>(story.Events[^1]);
                break;
            default:
                orders.Tell(new SourceCommand.GuestDied(true, "gone", default));
                orders.Give(new ReleaseGuest(Id, Guest, At));
                break;
        }

        Assert.InRange(orders.Judged, 100, int.MaxValue);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void At_the_destination(string way)
    {
        var story = Stories.Destination();
        var orders = new Judge<DestinationState, DestinationCommand, DestinationEffect>(
            new DestinationMachine(), story, order => new DestinationCommand.Order(order, default), () => story.State.Fence, Side.Destination);

        orders.Give(new PrepareDestination(Id, Guest, At, "{}"));
        orders.Tell(new DestinationCommand.IncomingLaunched("127.0.0.1:1", "00", Devices(DeviceState.Stop), default));
        orders.Give(new CheckSetup(Id, Guest, At, NoRecords));
        orders.Tell(new DestinationCommand.SetupAnswered([], default));
        orders.MoveWhile(story.MoveAll, () => story.State.Phase == DestinationPhase.Arming);
        orders.Tell(new DestinationCommand.StreamReceived("d", default));
        orders.MoveWhile(story.MoveAll, () => story.Pending[0] is DestinationEffect.MoveDevice);
        orders.Tell(new DestinationCommand.VerifiedVoted(new Dictionary<string, string>(), default));
        switch (way)
        {
            case "completed":
                orders.Give(new RunGuest(Id, Guest, At));
                orders.Tell(new DestinationCommand.PermitVoted(default));
                orders.MoveWhile(story.MoveAll, () => story.Pending.Count > 0);
                Assert.IsType<GuestResumed>(story.Events[^1]);
                break;
            case "rolled back":
                orders.Give(new DiscardIncoming(Id, Guest, Raised));
                orders.Tell(new DestinationCommand.DiscardEnded(default));
                Assert.IsType<IncomingDiscarded>(story.Events[^1]);
                break;
            default:
                orders.Tell(new DestinationCommand.GuestDied("gone", default));
                orders.Give(new ProveNeverRan(Id, Guest, Raised));
                orders.Tell(new DestinationCommand.ProofEnded(true, "", default));
                Assert.IsType<ProvenNeverRan>(story.Events[^1]);
                break;
        }

        Assert.InRange(orders.Judged, 100, int.MaxValue);
    }

    [Fact]
    public void No_order_is_left_out() => Assert.Equal(
        typeof(AgentCommand).GetCustomAttributes(typeof(JsonDerivedTypeAttribute), false)
            .Select(a => ((JsonDerivedTypeAttribute)a).DerivedType).OrderBy(type => type.Name, StringComparer.Ordinal),
        All(Id, At).Select(order => order.GetType()).OrderBy(type => type.Name, StringComparer.Ordinal));

    private static IReadOnlyList<AgentCommand> All(MigrationId id, Fence fence) =>
    [
        new PrepareDestination(id, Guest, fence, "{}"), new CollectSetup(id, Guest, fence), new CheckSetup(id, Guest, fence, NoRecords),
        new StartPreCopy(id, Guest, fence, "127.0.0.1:1", "00", Second), new ReconnectTransfer(id, Guest, fence, "127.0.0.1:2", "01", 1),
        new LimitBandwidth(id, Guest, fence, 1 << 20, 1), new SwitchOver(id, Guest, fence, Second), new YieldGuest(id, Guest, fence), new RunGuest(id, Guest, fence),
        new ReleaseGuest(id, Guest, fence), new KeepGuest(id, Guest, fence), new DiscardIncoming(id, Guest, fence),
        new ProveNeverRan(id, Guest, fence),
    ];

    /// <summary>Tells a story, and holds every state it comes through against every order that must do nothing there.</summary>
    private sealed class Judge<TState, TCommand, TEffect>(
        IStateMachine<TState, TCommand, AgentEvent, TEffect> machine, Story<TState, TCommand, AgentEvent, TEffect> story,
        Func<AgentCommand, TCommand> order, Func<Fence> fence, Side side)
    {
        public int Judged { get; private set; }

        public void Tell(TCommand command)
        {
            Assert.Null(story.Tell(command));
            JudgeState();
        }

        /// <summary>Given twice: the second time it is old news.</summary>
        public void Give(AgentCommand command)
        {
            Tell(order(command));
            Assert.Empty(Assert.IsType<Accepted<AgentEvent>>(machine.Decide(story.State, order(command))).Events);
        }

        public void MoveWhile(Action move, Func<bool> goOn)
        {
            while (goOn())
            {
                move();
                JudgeState();
            }
        }

        private void JudgeState()
        {
            var at = fence();
            Refused("fence.older", All(Id, at with { Term = new Term(at.Term.Value - 1) }));
            Refused("fence.older", All(Id, new Fence(new Epoch(at.Epoch.Value - 1), new Term(9))));
            Refused("migration.other", All(new MigrationId("m-0"), new Fence(at.Epoch.Next, new Term(9))));
            Refused("command.wrong-side", All(Id, at).Where(command => command.Side != side));
        }

        private void Refused(string code, IEnumerable<AgentCommand> commands)
        {
            foreach (var command in commands)
            {
                var refusal = Assert.IsType<Refused<AgentEvent>>(machine.Decide(story.State, order(command)));
                Assert.Equal(code, refusal.Code);
                Assert.NotEmpty(refusal.Reason);
                Judged++;
            }
        }
    }
}
