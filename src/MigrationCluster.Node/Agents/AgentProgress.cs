using MigrationCluster.Api;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Agents;

/// <summary>How far a migration is on this host right now. Never journaled: the next snapshot replaces it.</summary>
public sealed record AgentProgress(MigrationId Migration, ProgressView Progress);
