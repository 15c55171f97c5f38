using MigrationCluster.Api;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Coordination;

/// <summary>What an agent's journal says, in words. A vote is its guest process's own: it stands in that one's fence file.</summary>
public static class WhyWords
{
    private const string Source = "source agent";
    private const string Destination = "destination agent";
    private const string Guest = "guest process on";

    /// <returns>null: no step that a decision rests on.</returns>
    public static (string Who, string What, IReadOnlyList<string> Evidence)? Of(AgentEvent e) => e switch
    {
        FenceRaised raised => ("agent", "took orders of a later coordinator; earlier ones are refused", [$"an order at {raised.Fence}"]),
        SourceOpened opened => (Source, "took the migration on", [$"an order at {opened.Fence}"]),
        SetupCollected setup => (Source, "told how its devices are set up", [string.Join(", ", setup.Records.Select(record => record.Device))]),
        PreCopyStarted => (Source, "began to copy", []),
        TransferOpened => (Source, "connected to the destination", []),
        BandwidthLimited limited => (Source, $"keeps to {Bandwidth.Text(limited.MaxBytesPerSecond)} from here on", []),
        TransferLost lost => (Source, "lost its connections and connects again", [lost.Reason]),
        TransferRedirected to => (Source, "was told where the destination takes connections now", [to.DataEndpoint]),
        ReadyToSwitch ready => (Source, "was ready to switch over", [$"predicted downtime {ready.PredictedDowntime.TotalMilliseconds:F0} ms"]),
        SwitchOverStarted => (Source, "was told to switch over", []),
        SwitchOverPutOff put => (Source, "put the switchover off", [put.Devices.Count > 0 ? $"initial bytes again: {string.Join(", ", put.Devices)}" : "there was no connection to the destination"]),
        MachinePaused => (Source, "paused the machine", []),
        DevicesStopped => (Source, "stopped every device", []),
        FinalStateSent sent => (Source, "sent everything",
            [$"digest {sent.Digest}", .. sent.RamDigest is { } ram ? [$"hash of all of RAM, the same on both hosts: {ram}"] : Array.Empty<string>()]),
        GuestYielded => (Guest, "voted Yielded", ["durable in its fence file; only a raised epoch lets it run again"]),
        KeepRequested keep => (Source, "went back to keep the guest", [keep.Reason, $"at {keep.Fence}"]),
        KeepVoted => (Guest, "voted Kept", ["durable in its fence file; it never yields at this epoch"]),
        GuestKept => (Source, "runs the guest as before", []),
        GuestReleased released => (Source, "released its copy", [.. released.Residue.Select(left => $"left behind: {left}")]),
        SourceFailed { Code: "guest.kept-itself" } kept => (Guest, "kept itself", [kept.Reason]),
        SourceFailed failed => (Source, "failed", [$"{failed.Reason} [{failed.Code}]"]),
        SourceGuestDied died => (Source, "found the guest process and its device servers dead",
            [died.Reason, died.DiedAsYielded ? "its fence file held no Kept: Yielded was written into it" : "its fence file does not let its death stand for a vote"]),
        DestinationOpened opened => (Destination, "took the migration on", [$"an order at {opened.Fence}"]),
        DestinationPrepared prepared => (Destination, "launched the incoming guest process", [$"{prepared.Devices.Count - 1} devices"]),
        TransferClosed => (Destination, "came back from a restart of its daemon", ["the guest process holds what has arrived"]),
        TransferReopened reopened => (Destination, "takes the transfer's connections again", [reopened.DataEndpoint]),
        SetupConfirmed confirmed => (Destination, "confirmed every device's setup", Confirmed(confirmed)),
        SetupRefused refused => (Destination, "refused", [.. refused.Refusals.Select(why => $"{why.Message} [{why.Code}]")]),
        DestinationVerified verified => (Guest, "voted Verified", [$"digest {verified.Digest}; every device loaded, in Stop"]),
        RunRequested run => (Destination, "was told that the row is committed to it", [$"an order at {run.Fence}"]),
        PermitTaken => (Guest, "took its permit to run", ["durable in its fence file"]),
        GuestResumed => (Destination, "runs the guest", []),
        DestinationFailed failed => (Destination, "failed", [$"{failed.Reason} [{failed.Code}]"]),
        DiscardRequested discard => (Destination, "was told to discard its copy", [$"an order at {discard.Fence}"]),
        IncomingDiscarded => (Destination, "discarded its copy", []),
        ProofRequested proof => (Destination, "was asked to prove that its copy never ran", [$"an order at {proof.Fence}"]),
        ProvenNeverRan => (Destination, "proved that its copy never ran", ["all of its processes dead; fence file raised under its lock, no permit in it"]),
        MayHaveRun may => (Destination, "cannot rule out that its copy ran", [may.Reason]),
        _ => null,
    };

    public static bool IsOfDestination(AgentEvent e) => e is DestinationOpened or DestinationPrepared or TransferClosed or TransferReopened or SetupCheckRequested or SetupConfirmed
        or SetupAccepted or SetupRefused or StreamComplete or DestinationVerified or RunRequested or PermitTaken or GuestResumed
        or DestinationFailed or DiscardRequested or IncomingDiscarded or ProofRequested or ProvenNeverRan or MayHaveRun;

    private static IReadOnlyList<string> Confirmed(SetupConfirmed confirmed) =>
    [
        .. (confirmed.Dropped ?? []).Select(dropped => $"{dropped.Device} drops {string.Join(", ", dropped.Sections)}"),
        .. (confirmed.Unknown ?? []).Select(unknown => $"accepted although unknown: {unknown.Message}"),
    ];
}
