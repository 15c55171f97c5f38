using System.Diagnostics;
using Npgsql;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>PostgreSQL of the run's own, listening on UNIX sockets in the run's folder and nowhere else. It refuses to run as root: then it runs as
/// user postgres.</summary>
/// <param name="standby">whether a second server keeps a synchronous copy that can take over: what was committed is on both then.</param>
internal sealed class Database(string folder, bool standby)
{
    private static readonly TimeSpan ReplicaLimit = TimeSpan.FromSeconds(60);

    private static readonly string? Programs = Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin"))
            .LastOrDefault(bin => File.Exists(Path.Combine(bin, "initdb")))
        : null;

    private readonly Server[] _servers = [.. (standby ? (string[])["a", "b"] : ["a"]).Select(name => new Server(Path.Combine(folder, name)))];

    /// <summary>Of <see cref="_servers"/>.</summary>
    private int _primary;

    public static string? Missing() => Programs is null ? "PostgreSQL is not installed (apt-get install postgresql)" : null;

    /// <summary>Of both servers: whoever connects finds the one that is the primary.</summary>
    public string Connection => $"Host={string.Join(',', _servers.Select(server => server.Folder))};Username=mc;Database=fleet"
        + (standby ? ";Target Session Attributes=primary;Host Recheck Seconds=1" : "");

    private Server Primary => _servers[_primary];

    public void Make()
    {
        foreach (string made in (string[])[folder, .. _servers.Select(server => server.Folder)])
        {
            Directory.CreateDirectory(made);
            if (Environment.IsPrivilegedProcess) Shell.Run("chown", "postgres", made);
        }

        Program("initdb", "--pgdata", Primary.Data, "--username", "mc", "--auth", "trust", "--no-sync");
        Start();
        Execute("CREATE DATABASE fleet");
        if (standby) MakeStandby();
    }

    public void Start() => Start(Primary);

    /// <summary>Breaks every connection at once, as a crash would.</summary>
    public void Stop()
    {
        foreach (var server in _servers) Stop(server);
    }

    /// <summary>The primary crashes.</summary>
    public void StopPrimary() => Stop(Primary);

    /// <summary>The standby takes over from a primary that has crashed.</summary>
    public void FailOver()
    {
        _primary = 1 - _primary;
        Program("pg_ctl", "--pgdata", Primary.Data, "--wait", "--silent", "promote");
    }

    /// <summary>The other server begins anew as a copy of the primary; from then on a commit is answered when it is on both.</summary>
    /// <exception cref="IOException">it does not follow in time.</exception>
    public void MakeStandby()
    {
        var copy = _servers[1 - _primary];
        if (Directory.Exists(copy.Data)) Directory.Delete(copy.Data, recursive: true);
        Program(
            "pg_basebackup", "--pgdata", copy.Data, "--host", Primary.Folder, "--username", "mc", "--write-recovery-conf", "--checkpoint", "fast", "--no-sync");
        Start(copy);
        Execute("ALTER SYSTEM SET synchronous_standby_names = '*'");
        Execute("SELECT pg_reload_conf()");
        for (var watch = Stopwatch.StartNew(); !Equals(Execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"), 1L); Thread.Sleep(50))
            if (watch.Elapsed > ReplicaLimit) throw new IOException($"the copy of the database does not follow after {ReplicaLimit.TotalSeconds:F0} s");
    }

    private object? Execute(string sql)
    {
        using var connection = new NpgsqlConnection($"Host={Primary.Folder};Username=mc;Database=postgres;Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        return command.ExecuteScalar();
    }

    private static void Start(Server server) => Program(
        "pg_ctl", "--pgdata", server.Data, "--wait", "--silent", "--log", Path.Combine(server.Folder, "log"),
        "--options", $"-k {server.Folder} -c listen_addresses='' -c max_connections=100", "start");

    private static void Stop(Server server)
    {
        if (File.Exists(Path.Combine(server.Data, "postmaster.pid"))) Program("pg_ctl", "--pgdata", server.Data, "--wait", "--silent", "--mode", "immediate", "stop");
    }

    /// <summary>Its output goes nowhere: a server started here would hold a pipe open for as long as it runs.</summary>
    private static void Program(string name, params string[] arguments)
    {
        string[] command = [Path.Combine(Programs!, name), .. arguments];
        if (Environment.IsPrivilegedProcess) command = ["runuser", "-u", "postgres", "--", .. command];
        Shell.Run(["setsid", "--wait", "sh", "-c", "exec \"$@\" </dev/null >/dev/null 2>&1", "sh", .. command]);
    }

    /// <param name="Folder">of its socket.</param>
    private sealed record Server(string Folder)
    {
        public string Data => Path.Combine(Folder, "data");
    }
}
