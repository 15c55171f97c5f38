namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>A process of a migration that stands still at a failpoint, and who else has to do with it.</summary>
/// <param name="Process">coordinator, source, destination (daemons), source-guest, destination-guest.</param>
internal sealed record Scene(string Process, string Coordinator, string Source, string Destination, string Guest)
{
    public bool InGuest => Process.EndsWith("-guest", StringComparison.Ordinal);

    /// <summary>The host of the process; null: it is the coordinator.</summary>
    public string? Host => Process is "coordinator" ? null : Process.StartsWith("source", StringComparison.Ordinal) ? Source : Destination;

    /// <summary>The other host.</summary>
    public string Peer => Host == Source ? Destination : Source;

    /// <summary>The daemon that stands still, or that a guest process which does belongs to.</summary>
    public string Daemon => Host ?? Coordinator;

    /// <summary>As strikes call who stands still.</summary>
    public string Target => InGuest ? Guest : Daemon;
}
