using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Model;

/// <summary>Whether a source's connections lead to a data plane that takes them.</summary>
internal static class TransferTo
{
    /// <summary>An earlier opening of the destination's data plane is nobody's any more. With everything arrived, all that can still come is
    /// the question whether it has.</summary>
    public static bool Reaches(SourceState source, DestinationState destination) =>
        destination is { Failure: null, TransferOpen: true, Phase: >= DestinationPhase.Receiving and <= DestinationPhase.Verified }
        && destination.Opening == source.Opening;
}
