using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Invariants;

/// <summary>One attempt at a guest as an observer sees both of its sides at one moment.</summary>
/// <param name="SetupAccepted">every device's setup record has been accepted, or the attempt is past that.</param>
/// <param name="SourceDevices">without the machine; empty where no guest process lives.</param>
/// <param name="Loading">data arrives at the destination, and not all of it has.</param>
/// <param name="DestinationDevices">without the machine; empty where no guest process lives.</param>
/// <param name="DestinationRuns">the machine runs on the destination under a permit.</param>
/// <param name="DestinationLacksPages">the source wrote pages that the destination has not acknowledged since.</param>
public sealed record TransferObservation(
    bool SetupAccepted,
    IReadOnlyCollection<PlannedDevice> SourceDevices,
    bool Loading,
    IReadOnlyCollection<PlannedDevice> DestinationDevices,
    bool DestinationRuns,
    bool DestinationLacksPages);
