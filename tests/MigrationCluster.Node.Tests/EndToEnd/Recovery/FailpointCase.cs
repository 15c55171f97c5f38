using MigrationCluster.Devices.Faults;
using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>What goes on, and what is made to go wrong besides, while a process is killed at its failpoint.</summary>
public enum Story
{
    /// <summary>The guest moves.</summary>
    Moves,

    /// <summary>The destination holds everything, but cannot say so: the whole way back.</summary>
    RollsBack,

    /// <summary>The source cannot send the final state.</summary>
    SourceFails,

    /// <summary>An operator cancels during pre-copy.</summary>
    Cancelled,

    /// <summary>An operator lifts, during pre-copy, the limit that the transfer began with and could not end with.</summary>
    Limited,

    /// <summary>The coordinator dies in Negotiating; whoever takes the migration on raises the term.</summary>
    TakenOver,

    /// <summary>The source's guest process dies as it yields: its death stands for its vote.</summary>
    SourceGuestDies,

    /// <summary>The destination's guest process dies as it takes its permit: it never ran.</summary>
    NeverRan,

    /// <summary>The destination's guest process dies with its permit taken: it may have run.</summary>
    MayHaveRun,

    /// <summary>The source takes longer to release its copy than it may.</summary>
    ReleaseOverdue,

    /// <summary>The source stands still while its guest is paused, for longer than it may.</summary>
    Deadline,

    /// <summary>A second guest is started.</summary>
    Starts,

    /// <summary>The destination's daemon dies in pre-copy, and comes back.</summary>
    Interrupted,

    /// <summary>A device server of the source dies in pre-copy.</summary>
    SourceDeviceDies,

    /// <summary>A device server of the destination dies once the guest may run there.</summary>
    DestinationDeviceDies,

    /// <summary>No pass leaves little enough for the downtime asked for: thirty of them, then it is given up.</summary>
    NeverFits,
}

/// <summary>One process killed at one place.</summary>
/// <param name="Point">the failpoint's name.</param>
/// <param name="Time">the how manieth time it is reached.</param>
/// <param name="Where">coordinator, source, destination: their daemons; source-guest, destination-guest.</param>
/// <param name="Lost">no complete copy is left that may run: the guest is lost, and said to be.</param>
/// <param name="Device">a guest process is not killed but stands still there, while this device's server is killed.</param>
public sealed record FailpointCase(
    string Point, string Where, Story Story = Story.Moves, int Time = 1, bool Lost = false, string? Device = null)
{
    /// <summary>Not reached by any story, and why.</summary>
    public static IReadOnlyDictionary<string, string> NotReached { get; } = new Dictionary<string, string>
    {
        ["SwitchOverPutOff"] = "needs a device that is set up anew, or a destination that opens its data plane anew, between the last pass and the pause",
        ["AwaitWord"] = "needs a coordinator that never comes back, and a source that is silent: IncomingTests",
        ["SetupRefused"] = "needs devices that only the real destination tells apart; nothing has moved by then",
        ["HostProvenDead"] = "needs an operator's word: DeadHostTests",
    };

    private static readonly (Story Story, string[] Steps)[] Stories =
    [
        (Story.RollsBack, ["AbortChosen", "GuestKept", "IncomingDiscarded", "DestinationFailed", "KeepGuest", "DiscardIncoming", "Aborted",
            "KeepRequested", "KeepVoted", "DiscardRequested", "Discard", "Raised", "Kept"]),
        (Story.SourceFails, ["SourceFailed"]),
        (Story.Cancelled, ["CancelRequested"]),
        (Story.Limited, ["BandwidthChosen", "BandwidthLimited", "LimitBandwidth"]),
        (Story.TakenOver, ["TookOver", "FenceRaised"]),
        (Story.SourceGuestDies, ["SourceGuestDied"]),
        (Story.NeverRan, ["ProofRequested", "ProvenNeverRan", "ProveNeverRan"]),
        (Story.MayHaveRun, ["MayHaveRun"]),
        (Story.ReleaseOverdue, ["ReleaseOverdue"]),
        (Story.Deadline, ["Alarm"]),
        (Story.Starts, ["Settled"]),
        (Story.Interrupted, ["TransferLost", "TransferRedirected", "TransferClosed", "TransferReopened", "ReopenTransfer", "ReconnectTransfer"]),
    ];

    /// <summary>Every failpoint once, and those that a migration passes again and again at its later turns too.</summary>
    public static IReadOnlyList<FailpointCase> All { get; } =
    [
        .. FailpointNames.All.Where(name => Scope(name) != "fence" && Step(name) != "Isolate" && !NotReached.ContainsKey(Step(name)))
            .Select(name => new FailpointCase(name, Scope(name) == "row" ? "coordinator" : Scope(name), StoryOf(Step(name)))
            {
                Lost = Step(name) == "MayHaveRun",
            }),
        new("source:effect:Isolate", "source", Story.SourceDeviceDies),
        new("destination:effect:Isolate", "destination", Story.DestinationDeviceDies),
        .. from scope in (string[])["source", "coordinator"]
           from point in Failpoints.Around(scope, "IterationFinished")
           select new FailpointCase(point, scope, Story.NeverFits, 2),
        new("source:effect:RunIteration", "source", Story.NeverFits, 2),
        .. Fence("source", "Yielded", Story.SourceGuestDies),
        .. Fence("destination", "Raised", Story.RollsBack),
        .. Fence("source-guest", "Raised", Story.Moves, lost: true),
        .. Fence("source-guest", "Kept", Story.RollsBack, lost: true),
        .. Fence("source-guest", "Yielded", Story.Moves),
        .. Fence("destination-guest", "Launched", Story.Moves),
        .. Fence("destination-guest", "Verified", Story.Moves),
        new("fence:before:Permit", "destination-guest"),
        new("fence:after:Permit", "destination-guest", Lost: true),
        .. AtVotes("destination-guest", Story.Moves, "Verified", "Permit"),
        .. AtVotes("source-guest", Story.Moves, "Yielded"),
        .. AtVotes("source-guest", Story.RollsBack, "Kept"),
    ];

    /// <summary>A few that stand for all: each process, each side of the two votes, the decision and the permit.</summary>
    public static IReadOnlyList<FailpointCase> Chosen { get; } =
    [
        new("row:after:Undecided", "coordinator"),
        new("row:after:Committed", "coordinator"),
        new("source:before:GuestYielded", "source"),
        new("source:after:KeepVoted", "source", Story.RollsBack),
        new("destination:before:DestinationVerified", "destination"),
        new("destination:after:RunRequested", "destination"),
        new("fence:before:Permit", "destination-guest"),
        new("fence:after:Yielded", "source-guest"),
    ];

    /// <summary>As the environment of the process that is to die says it.</summary>
    public string Armed => $"{Point}@{Time}={Action}";

    public string Action => Device is null ? "kill" : "stop";

    /// <summary>The device whose server dies, and which the guest works on without where that happened.</summary>
    public string? Without => Device ?? (Story is Story.SourceDeviceDies or Story.DestinationDeviceDies ? Victim : null);

    public bool IsGuest => Where.EndsWith("-guest", StringComparison.Ordinal);

    /// <summary>Short: a runner shows no more than 50 characters of it.</summary>
    public override string ToString() => $"{Point}@{Time} {Story} {Where}{(Device is null ? "" : " " + Device)}";

    private static FailpointCase[] Fence(string where, string vote, Story story, bool lost = false) =>
        [new($"fence:before:{vote}", where, story, 1, lost), new($"fence:after:{vote}", where, story, 1, lost)];

    private static IEnumerable<FailpointCase> AtVotes(string where, Story story, params string[] votes) =>
        votes.SelectMany(vote => Fence(where, vote, story)).Select(it => it with { Device = Victim });

    private static Story StoryOf(string step) => Stories.FirstOrDefault(entry => entry.Steps.Contains(step)).Story;

    private const string Victim = "net1";

    private static string Scope(string name) => name.Split(':')[0];

    private static string Step(string name) => name.Split(':')[2];
}
