namespace MigrationCluster.Protocol.Migration;

/// <summary>How a host's data plane talks.</summary>
/// <param name="WireVersion">both sides of a session speak exactly the same.</param>
/// <param name="Channels">connections it opens as a source.</param>
/// <param name="MaxChannels">the most it takes as a destination.</param>
/// <param name="OnLoopback">no other machine reaches it.</param>
public sealed record DataPlaneFacts(int WireVersion, int Channels, int MaxChannels, bool OnLoopback = true);
