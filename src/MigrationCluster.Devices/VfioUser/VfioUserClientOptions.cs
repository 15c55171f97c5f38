namespace MigrationCluster.Devices.VfioUser;

/// <summary>How long a client waits, and what it asks for.</summary>
public sealed record VfioUserClientOptions
{
    public static VfioUserClientOptions Default { get; } = new();

    /// <summary>From sending a command to its reply; running out of it ends the connection.</summary>
    public TimeSpan CommandLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The same for a change of state and a reset: a device may take its time to quiesce.</summary>
    public TimeSpan StateLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether to ask for a twin socket. Without one some servers die when their DMA crosses a command.</summary>
    public bool TwinSocket { get; init; } = true;

    /// <summary>As ever, and no limit less than this.</summary>
    public static VfioUserClientOptions Patient(TimeSpan least) => Default with
    {
        CommandLimit = least > Default.CommandLimit ? least : Default.CommandLimit,
        StateLimit = least > Default.StateLimit ? least : Default.StateLimit,
    };
}
