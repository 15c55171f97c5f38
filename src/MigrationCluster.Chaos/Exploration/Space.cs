using MigrationCluster.Chaos.Model;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>The tables behind the numbers of a state: the real machines, rows, guest processes, messages.</summary>
internal sealed class Space
{
    public static readonly HostName[] Hosts = [new("a"), new("b")];

    private static readonly GuestName Guest = new("g");

    private readonly Dictionary<int, int> _sourceHosts = [];

    public Space(Configuration configuration, Build build)
    {
        (Configuration, Build) = (configuration, build);
        // Reasons are for people: no decision reads them, but they would make states differ.
        Coordinators = new(build.Coordinator, new(), state => state with { Reasons = [] });
        Sources = new(build.Source, AgentEvents, state => state.Failure is null ? state : state with { Failure = "failed" });
        Destinations = new(build.Destination, AgentEvents, state => state.Failure is null ? state : state with { Failure = "failed" });
        NewCoordinator = Coordinators.States.Of(CoordinatorState.New);
        NewSource = Sources.States.Of(SourceState.New);
        NewDestination = Destinations.States.Of(DestinationState.New);
    }

    public Configuration Configuration { get; }

    public Build Build { get; }

    public Surroundings Surroundings => Build.Surroundings;

    public int Width => Layout.Width(Configuration.Attempts);

    public Interner<AgentEvent> AgentEvents { get; } = new();

    public Interner<AgentCommand> Messages { get; } = new();

    public Interner<GuestRow> Rows { get; } = new();

    public Interner<ModelGuest> Guests { get; } = new();

    public Sequences Sequences { get; } = new();

    public MachineTable<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect> Coordinators { get; }

    public MachineTable<SourceState, SourceCommand, AgentEvent, SourceEffect> Sources { get; }

    public MachineTable<DestinationState, DestinationCommand, AgentEvent, DestinationEffect> Destinations { get; }

    public int NewCoordinator { get; }

    public int NewSource { get; }

    public int NewDestination { get; }

    /// <summary>The guest runs on a; its first migration, to b, has just been planned.</summary>
    public int[] Initial()
    {
        int[] state = new int[Width];
        state[Layout.Row] = Rows.Of(GuestRow.Start(Guest, Hosts[0], new Epoch(1)));
        state[Layout.Guest] = Guests.Of(ModelGuest.Launch(Hosts[0],
            new FenceRecord(Guest, new Fence(new Epoch(1), new Term(1)), GuestRole.Owner), Configuration.Shape));
        state[Layout.Faults] = Faults.Of(Configuration).Value;
        if (!Begin(state, 0)) throw new InvalidOperationException("the first migration cannot begin");
        return state;
    }

    /// <summary>The operator migrates the guest to the host where it is not.</summary>
    /// <returns>false: planning refuses.</returns>
    public bool Begin(Span<int> state, int attempt)
    {
        var row = Rows[state[Layout.Row]];
        int source = row.Owner == Hosts[0] ? 0 : 1;
        var id = new MigrationId($"m{attempt + 1}");
        int guest = state[Layout.Guest + source];
        if (guest == 0 || !Guests[guest].Alive || row.Open(id, Hosts[1 - source]) is not { } opened) return false;
        state[Layout.Row] = Rows.Of(opened);
        var plan = new MigrationPlan(id, Guest, Hosts[source], Hosts[1 - source], new Fence(opened.Epoch, new Term(1)), "{}",
            TimeSpan.FromSeconds(1));
        int begun = Coordinators.Step(NewCoordinator, Coordinators.Commands.Of(new CoordinatorCommand.Begin(plan, default))).State;
        state[Layout.At(attempt, Layout.Journal)] = begun;
        state[Layout.At(attempt, Layout.Owner)] = begun;
        state[Layout.At(attempt, Layout.Source)] = NewSource;
        state[Layout.At(attempt, Layout.Destination)] = NewDestination;
        return true;
    }

    /// <summary>How many attempts have begun; the last one is what the row is about.</summary>
    public int Begun(ReadOnlySpan<int> state)
    {
        int begun = 0;
        while (begun < Configuration.Attempts && state[Layout.At(begun, Layout.Journal)] != 0) begun++;
        return begun;
    }

    public CoordinatorState Journal(ReadOnlySpan<int> state, int attempt) =>
        Coordinators.States[state[Layout.At(attempt, Layout.Journal)]];

    /// <summary>0 or 1: where an attempt's source or destination is.</summary>
    public int HostOf(ReadOnlySpan<int> state, int attempt, Side side)
    {
        int journal = state[Layout.At(attempt, Layout.Journal)];
        if (!_sourceHosts.TryGetValue(journal, out int source))
            _sourceHosts[journal] = source = Coordinators.States[journal].Plan!.Source == Hosts[0] ? 0 : 1;
        return side == Side.Source ? source : 1 - source;
    }

    public ModelGuest? GuestOn(ReadOnlySpan<int> state, int host) => Guests[state[Layout.Guest + host]];
}
