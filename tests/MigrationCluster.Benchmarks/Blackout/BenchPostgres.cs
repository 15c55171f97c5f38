using static MigrationCluster.Node.Tests.Fakes.PostgresPrograms;

namespace MigrationCluster.Benchmarks.Blackout;

/// <summary>A PostgreSQL of its own in a temporary directory, listening on a UNIX socket there; it syncs as one in use does.</summary>
internal sealed class BenchPostgres : IDisposable
{
    private readonly string _directory = NewDirectory();

    internal BenchPostgres()
    {
        Program("initdb", "--pgdata", Data, "--username", "mc", "--auth", "trust");
        Program(
            "pg_ctl", "--pgdata", Data, "--wait", "--silent", "--log", Path.Combine(_directory, "log"),
            "--options", $"-k {_directory} -c listen_addresses=''", "start");
    }

    internal static bool IsInstalled => AreInstalled;

    internal string Connection => $"Host={_directory};Username=mc;Database=postgres";

    private string Data => Path.Combine(_directory, "data");

    public void Dispose()
    {
        Program("pg_ctl", "--pgdata", Data, "--wait", "--silent", "--mode", "fast", "stop");
        Directory.Delete(_directory, recursive: true);
    }
}
