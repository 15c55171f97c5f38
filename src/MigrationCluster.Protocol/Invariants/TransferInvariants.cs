using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Invariants;

/// <summary>What must hold of one attempt's data and devices: NegotiatedBeforeMoved, NeverHalfLoaded, NoDirtyPageLost.</summary>
public static class TransferInvariants
{
    public static IEnumerable<Violation> Check(TransferObservation now)
    {
        if (!now.SetupAccepted && now.SourceDevices.FirstOrDefault(HasLeftRunning) is { } moved)
            yield return new Violation("NegotiatedBeforeMoved",
                $"{moved.Name} is {moved.State} on the source, but not every setup record has been accepted");
        if (now.Loading && now.DestinationDevices.FirstOrDefault(HasLeftResuming) is { } half)
            yield return new Violation("NeverHalfLoaded",
                $"{half.Name} is {half.State} on the destination before all of its state has arrived");
        if (now is { DestinationRuns: true, DestinationLacksPages: true })
            yield return new Violation("NoDirtyPageLost",
                "the destination runs the guest without pages that the source wrote");
    }

    /// <summary>A device in Error did not move: it broke.</summary>
    private static bool HasLeftRunning(PlannedDevice device) => device.State is not (DeviceState.Running or DeviceState.Error);

    private static bool HasLeftResuming(PlannedDevice device) => device.State is not (DeviceState.Resuming or DeviceState.Error);
}
