namespace MigrationCluster.IommufdLane;

/// <summary>A kernel, or our code on it, did something else than it should.</summary>
internal sealed class CheckFailedException(string message) : Exception(message);
