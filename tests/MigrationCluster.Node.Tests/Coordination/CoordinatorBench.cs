using Microsoft.Extensions.Logging.Abstractions;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Tests.Coordination;

/// <summary>A coordinator on a real store, with agents that a test plays: one guest g on a, and its migration m-1 to b.</summary>
internal sealed class CoordinatorBench : IAsyncDisposable
{
    public static readonly MigrationId Id = new("m-1");
    public static readonly GuestName Guest = new("g");
    public static readonly HostName A = new("a");
    public static readonly HostName B = new("b");
    public static readonly Fence At = new(new Epoch(2), new Term(1));
    public static readonly MigrationPlan Plan = new(Id, Guest, A, B, At, "{}", TimeSpan.FromMilliseconds(300));
    public static readonly GuestRow Open = GuestRow.Start(Guest, A, new Epoch(1)).Open(Id, B)!;

    private readonly TempDirectory _directory = new();
    private readonly Tenures _tenures;

    public CoordinatorBench()
    {
        (Engine, Store) = UnreachableEngine.Around(new SqliteStore(_directory.File("coordinator.db")));
        var node = new NodeIdentity(new HostName("c"), "c");
        Migrations = new Migrations(
            Engine, Engine, Engine, Agents, null!, new CoordinatorMachine(), () => new MigrationId("m-9"), node,
            new RecordingSupervisor(), TimeProvider.System);
        Reconciliation = new Reconciliation(Engine, Engine, Agents, Migrations);
        _tenures = new Tenures(Migrations, Engine, node, TimeProvider.System, NullLogger<Tenures>.Instance);
    }

    public IEngine Engine { get; }

    public UnreachableEngine Store { get; }

    public FakeAgents Agents { get; } = new();

    public Migrations Migrations { get; }

    public Reconciliation Reconciliation { get; }

    /// <summary>The journal of an earlier coordinator, which is taken on; nothing is journaled of a migration that was never planned.</summary>
    public async Task StartAsync(params IReadOnlyList<AgentEvent> heard)
    {
        await Engine.CompareAndSwapAsync(null, new GuestRecord(Open, "{}", Placement.Placed), default);
        var fence = new Fence(At.Epoch, await Engine.AcquireAsync(Id, default));
        var (machine, state, events) = (new CoordinatorMachine(), CoordinatorState.New, new List<CoordinatorEvent>());
        foreach (var command in (CoordinatorCommand[])
            [new CoordinatorCommand.Begin(Plan, default), .. heard.Select(e => new CoordinatorCommand.Hear(e, default))])
            foreach (var e in ((Protocol.Machines.Accepted<CoordinatorEvent>)machine.Decide(state, command)).Events)
            {
                events.Add(e);
                state = machine.Evolve(state, e);
            }

        await new MigrationEventLog(Engine, Id, fence).AppendAsync(events, default);
        await _tenures.StartAsync(default);
    }

    public async Task<Api.MigrationView> UntilAsync(Func<Api.MigrationView, bool> reached)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        for (var view = (await Migrations.GetAsync(Id.Value, limit.Token)).Value!; ;)
        {
            if (reached(view)) return view;
            view = (await Migrations.WatchAsync(Id.Value, view.Version, limit.Token)).Value!;
        }
    }

    /// <summary>Until an order of this kind went out: the migration has been taken on by then.</summary>
    public async Task UntilSentAsync<T>()
        where T : AgentCommand
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!Agents.Sent.Any(order => order is T)) await Task.Delay(10, limit.Token);
    }

    public Task HearAsync(HostName host, AgentEvent e) =>
        Migrations.OnEventsAsync(host, [new NumberedAgentEvent(1, Side.Source, e)], [], default);

    /// <summary>What both sides say until the source is asked to yield.</summary>
    public static IReadOnlyList<AgentEvent> UntilCommitting =>
    [
        new DestinationPrepared(Id, default, "x", "y", []), new SetupCollected(Id, default, [], []), new SetupAccepted(Id, default),
        new ReadyToSwitch(Id, default, default), new GroupQuiet(Id, default),
        new FinalStateSent(Id, default, "d1g", default, new TransferTotals(0, 0, 0, new Dictionary<string, long>())),
        new DestinationVerified(Id, default, "d1g", new Dictionary<string, string>()),
    ];

    public async ValueTask DisposeAsync()
    {
        Store.Away(false);
        await _tenures.StopAsync(default);
        _tenures.Dispose();
        await Engine.DisposeAsync();
        _directory.Dispose();
    }
}
