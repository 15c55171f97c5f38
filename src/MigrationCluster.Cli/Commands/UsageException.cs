namespace MigrationCluster.Cli.Commands;

/// <summary>The operator asked for something that cannot be asked; <see cref="ExitCodes.Usage"/>.</summary>
public sealed class UsageException(string message) : Exception(message);
