namespace MigrationCluster.Chaos.Cluster;

/// <summary>What a run is asked for, as it is handed to the process that does it.</summary>
/// <param name="Folder">where everything of the run lives; its name is in the command line of every process of it.</param>
/// <param name="Namespaces">every node in a network namespace of its own; false: all on loopback.</param>
/// <param name="Mounts">every node's data on a small file system of its own, that can be filled.</param>
/// <param name="Faults">names of the faults that are drawn from.</param>
/// <param name="LeftOut">faults that were asked for and cannot be had here, with the reason.</param>
/// <param name="GuestMiB">RAM of each guest.</param>
/// <param name="Cases">of a matrix, instead of load and faults; null: none.</param>
/// <param name="Planted">a bug that all daemons have; null: none.</param>
/// <param name="Strikes">a schedule to be kept to; null: it is drawn from the seed.</param>
internal sealed record ChaosSettings(
    string Folder, int Nodes, int Guests, string Engine, double Minutes, int Seed, string Report, bool Namespaces, bool Mounts,
    IReadOnlyList<string> Faults, IReadOnlyDictionary<string, string> LeftOut, IReadOnlyList<Strike>? Strikes = null, int GuestMiB = 64,
    IReadOnlyList<Matrix.MatrixCase>? Cases = null, string? Planted = null)
{
    public const string Sqlite = "sqlite";
    public const string Postgres = "postgres";

    public bool OnPostgres => Engine == Postgres;

    /// <summary>Three where they share a database, else the one.</summary>
    public IReadOnlyList<string> Coordinators => OnPostgres ? ["c1", "c2", "c3"] : ["c1"];

    /// <summary>The hosts of guests.</summary>
    public IReadOnlyList<string> Hosts => [.. Enumerable.Range(1, Nodes).Select(i => $"n{i}")];

    public IReadOnlyList<string> Daemons => [.. Coordinators, .. Hosts];

    public IReadOnlyList<string> GuestNames => [.. Enumerable.Range(1, Guests).Select(i => $"g{i}")];

    public TimeSpan Duration => TimeSpan.FromMinutes(Minutes);
}
