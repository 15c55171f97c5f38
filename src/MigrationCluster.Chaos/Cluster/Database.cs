using Npgsql;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>A PostgreSQL of the run's own, listening on a UNIX socket in the run's folder and nowhere else. It refuses to run as root: then it runs as
/// user postgres.</summary>
internal sealed class Database(string folder)
{
    private static readonly string? Programs = Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin"))
            .LastOrDefault(bin => File.Exists(Path.Combine(bin, "initdb")))
        : null;

    public static string? Missing() => Programs is null ? "PostgreSQL is not installed (apt-get install postgresql)" : null;

    public string Connection => $"Host={folder};Username=mc;Database=fleet";

    private string Data => Path.Combine(folder, "data");

    public void Make()
    {
        Directory.CreateDirectory(folder);
        if (Environment.IsPrivilegedProcess) Shell.Run("chown", "postgres", folder);
        Program("initdb", "--pgdata", Data, "--username", "mc", "--auth", "trust", "--no-sync");
        Start();
        using var connection = new NpgsqlConnection($"Host={folder};Username=mc;Database=postgres;Pooling=false");
        connection.Open();
        using var create = new NpgsqlCommand("CREATE DATABASE fleet", connection);
        create.ExecuteNonQuery();
    }

    public void Start() => Program(
        "pg_ctl", "--pgdata", Data, "--wait", "--silent", "--log", Path.Combine(folder, "log"),
        "--options", $"-k {folder} -c listen_addresses='' -c max_connections=100", "start");

    /// <summary>Breaks every connection at once, as a crash would.</summary>
    public void Stop()
    {
        if (File.Exists(Path.Combine(Data, "postmaster.pid"))) Program("pg_ctl", "--pgdata", Data, "--wait", "--silent", "--mode", "immediate", "stop");
    }

    /// <summary>Its output goes nowhere: a server started here would hold a pipe open for as long as it runs.</summary>
    private static void Program(string name, params string[] arguments)
    {
        string[] command = [Path.Combine(Programs!, name), .. arguments];
        if (Environment.IsPrivilegedProcess) command = ["runuser", "-u", "postgres", "--", .. command];
        Shell.Run(["setsid", "--wait", "sh", "-c", "exec \"$@\" </dev/null >/dev/null 2>&1", "sh", .. command]);
    }
}
