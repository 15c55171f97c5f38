using System.Diagnostics;
using Npgsql;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>A real PostgreSQL of its own in a temporary directory, listening on a UNIX socket there and nowhere else.</summary>
/// <remarks>It refuses to run as root: then it runs as user postgres. Gone, data and all, when disposed of.</remarks>
public sealed class PostgresServer : IDisposable
{
    private static readonly string? Programs = Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin"))
            .LastOrDefault(bin => File.Exists(Path.Combine(bin, "initdb")))
        : null;

    private readonly string _directory = Directory.CreateTempSubdirectory("mcpg").FullName;
    private int _databases;

    public PostgresServer()
    {
        if (Environment.IsPrivilegedProcess) Run("/usr/bin/chown", "postgres", _directory);
        Program("initdb", "--pgdata", Data, "--username", "mc", "--auth", "trust", "--no-sync");
        Start();
    }

    /// <summary>Why there can be no server here; null: there can.</summary>
    public static string? Missing { get; } = Programs is null ? "PostgreSQL is not installed (apt-get install postgresql)" : null;

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

    private static void Program(string name, params string[] arguments)
    {
        string program = Path.Combine(Programs!, name);
        if (Environment.IsPrivilegedProcess) Run("/usr/sbin/runuser", ["-u", "postgres", "--", program, .. arguments]);
        else Run(program, arguments);
    }

    private static void Run(string program, params string[] arguments)
    {
        // Output goes nowhere: a server started here would hold a pipe open for as long as it runs.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$@\" </dev/null >/dev/null 2>&1", "sh", program, .. arguments])
        {
            WorkingDirectory = "/",
        };
        using var process = Process.Start(start)!;
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}");
    }
}
