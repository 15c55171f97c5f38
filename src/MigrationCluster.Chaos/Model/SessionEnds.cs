using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Model;

/// <summary>When an agent's session has ended: its connections are let go and its guest process is watched no more.</summary>
internal static class SessionEnds
{
    public static bool HasEnded(SourceState state) => state.Phase is SourcePhase.Kept or SourcePhase.Released;

    public static bool HasEnded(DestinationState state) =>
        state.Phase is DestinationPhase.Resumed or DestinationPhase.Discarded or DestinationPhase.Proven;
}
