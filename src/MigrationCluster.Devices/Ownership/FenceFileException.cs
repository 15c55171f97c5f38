namespace MigrationCluster.Devices.Ownership;

/// <summary>A fence file is locked by somebody else, cannot be read or written, or holds a newer fence.</summary>
public sealed class FenceFileException(string message, Exception? inner = null) : IOException(message, inner);
