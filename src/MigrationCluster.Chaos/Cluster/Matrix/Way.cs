using MigrationCluster.Chaos.Cluster.Faults;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>What an operator does in pre-copy.</summary>
internal enum Hand
{
    None,
    Cancels,

    /// <summary>Lifts the limit that the transfer began with and could not end with.</summary>
    Lifts,
}

/// <summary>What has to happen for a migration to come by some failpoint.</summary>
/// <param name="Armed">a process, and what it is armed with.</param>
/// <param name="First">a process, a place at which it stands still first, and the strike then.</param>
/// <param name="Lost">the guest is lost so, and has to be.</param>
internal sealed record Way(
    string Name, (string Process, string Text)? Armed = null, (string Process, string Point, Func<Scene, Strike> Strike)? First = null,
    Hand Hand = Hand.None, bool Lost = false)
{
    private const string Opened = "source:after:TransferOpened";

    public static readonly Way Moves = new("the guest moves");

    /// <summary>Ways, and the steps that are come by on them alone.</summary>
    public static readonly IReadOnlyList<(Way Way, string[] Steps)> All =
    [
        (new Way("the destination cannot vote", ("destination", "destination:effect:VoteVerified=fail")),
            ["AbortChosen", "GuestKept", "IncomingDiscarded", "DestinationFailed", "KeepGuest", "DiscardIncoming", "Aborted", "KeepRequested", "KeepVoted",
                "DiscardRequested", "Discard", "Raised", "Kept"]),
        (new Way("the final state cannot be sent", ("source", "source:effect:SendFinal=fail")), ["SourceFailed"]),
        (new Way("an operator cancels", ("source", "source:after:DeviceStateReached=delay:1500"), Hand: Hand.Cancels), ["CancelRequested"]),
        (new Way("an operator lifts the limit", Hand: Hand.Lifts), ["BandwidthChosen", "BandwidthLimited", "LimitBandwidth"]),
        (new Way("the coordinator dies in Negotiating", ("coordinator", "coordinator:after:SetupAccepted=kill")), ["TookOver", "FenceRaised"]),
        (new Way("the source's guest process dies as it yields", ("source-guest", "fence:before:Yielded=kill")), ["SourceGuestDied"]),
        (new Way("the destination's guest process dies before its permit", ("destination-guest", "fence:before:Permit=kill")),
            ["ProofRequested", "ProvenNeverRan", "ProveNeverRan"]),
        (new Way("the destination's guest process dies with its permit", ("destination-guest", "fence:after:Permit=kill"), Lost: true), ["MayHaveRun"]),
        (new Way("the source is slow to release", ("source", "source:effect:Release=delay:11000")), ["ReleaseOverdue"]),
        (new Way("the source stands still, paused", ("source", "source:before:MachinePaused=delay:12000")), ["Alarm"]),
        (new Way("the destination's daemon dies in pre-copy", First: ("source", Opened, scene => Strike(new KillNode(), ("target", scene.Destination), ("seconds", "0.5")))),
            ["TransferLost", "TransferRedirected", "TransferClosed", "TransferReopened", "ReopenTransfer", "ReconnectTransfer"]),
        (new Way("a device of the source dies", First: ("source", Opened, scene => Device(scene, scene.Source))), ["source:effect:Isolate"]),
        (new Way("a device of the destination dies", First: ("destination-guest", "fence:after:Permit", scene => Device(scene, scene.Destination))),
            ["destination:effect:Isolate"]),
    ];

    private static Strike Device(Scene scene, string host) =>
        Strike(new KillDevice(), ("target", scene.Guest), ("host", host), ("pick", "0"));

    private static Strike Strike(Fault fault, params (string Name, string Value)[] parameters) =>
        new(0, 0, fault.Name, new SortedDictionary<string, string>(parameters.ToDictionary(pair => pair.Name, pair => pair.Value), StringComparer.Ordinal));
}
