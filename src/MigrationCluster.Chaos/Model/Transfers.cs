using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Invariants;

namespace MigrationCluster.Chaos.Model;

/// <summary>Puts one attempt's two sides before <see cref="TransferInvariants"/>.</summary>
internal static class Transfers
{
    /// <param name="resting">devices that stood elsewhere than in Running when the attempt was opened: an earlier one left them so.</param>
    /// <param name="accepted">every setup record was accepted, though a session whose host lost power may no longer know.</param>
    public static IEnumerable<Violation> Check(
        ModelGuest? source, ModelGuest? destination, DestinationState session, IReadOnlySet<string>? resting = null, bool accepted = false) =>
        TransferInvariants.Check(new TransferObservation(
            SetupAccepted: accepted || session.Phase >= DestinationPhase.Receiving,
            SourceDevices: [.. (source?.Members ?? []).Where(device => resting?.Contains(device.Name.Value) != true)],
            Loading: session is { Phase: DestinationPhase.Receiving, Failure: null } && destination is not null
                && destination.Fence.Fence.Epoch == session.Fence.Epoch,
            DestinationDevices: [.. destination?.Members ?? []],
            DestinationRuns: destination is { Alive: true, Fence.Permitted: true } && destination.MachineRuns,
            DestinationLacksPages: source is { Debt: not Debt.None }));
}
