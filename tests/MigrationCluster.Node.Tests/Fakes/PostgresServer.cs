using Npgsql;
using static MigrationCluster.Node.Tests.Fakes.PostgresPrograms;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>A real PostgreSQL of its own in a temporary directory, listening on a UNIX socket there and nowhere else.</summary>
/// <remarks>Gone, data and all, when disposed of.</remarks>
public sealed class PostgresServer : IDisposable
{
    private readonly string _directory = NewDirectory();
    private int _databases;

    public PostgresServer()
    {
        Program("initdb", "--pgdata", Data, "--username", "mc", "--auth", "trust", "--no-sync");
        Start();
    }

    /// <summary>Why there can be no server here; null: there can.</summary>
    public static string? Missing { get; } = !AreInstalled ? "PostgreSQL is not installed (apt-get install postgresql)" : null;

    /// <summary>What it listens on.</summary>
    public string Socket => Path.Combine(_directory, ".s.PGSQL.5432");

    private string Data => Path.Combine(_directory, "data");

    public void Start() => Program(
        "pg_ctl", "--pgdata", Data, "--wait", "--silent", "--log", Path.Combine(_directory, "log"),
        "--options", $"-k {_directory} -c listen_addresses='' -c max_connections=50", "start");

    /// <summary>Breaks every connection at once, as a crash would, and keeps the data.</summary>
    public void Stop() => Program("pg_ctl", "--pgdata", Data, "--wait", "--silent", "--mode", "immediate", "stop");

    /// <returns>a connection string to an empty database.</returns>
    public string CreateDatabase()
    {
        string name = $"test{Interlocked.Increment(ref _databases)}";
        using var connection = new NpgsqlConnection(Connection("postgres") + ";Pooling=false");
        connection.Open();
        using var create = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        create.ExecuteNonQuery();
        return Connection(name);
    }

    public void Dispose()
    {
        if (File.Exists(Path.Combine(Data, "postmaster.pid"))) Stop();
        Directory.Delete(_directory, recursive: true);
    }

    private string Connection(string database) => $"Host={_directory};Username=mc;Database={database}";
}
