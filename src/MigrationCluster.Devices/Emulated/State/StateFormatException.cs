namespace MigrationCluster.Devices.Emulated.State;

/// <summary>A state stream is malformed, truncated, or of a kind that is not read here. What was loaded of it must not run.</summary>
public sealed class StateFormatException(string message) : IOException(message);
