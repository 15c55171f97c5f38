namespace MigrationCluster.Chaos.Model;

/// <summary>Where the transfer into a destination session stands.</summary>
internal enum Incoming
{
    Open = 0,

    /// <summary>The source has sent everything.</summary>
    Complete,

    /// <summary>The source died before it had sent everything.</summary>
    Broken,
}
