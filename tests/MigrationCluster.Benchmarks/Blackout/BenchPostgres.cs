using System.Diagnostics;

namespace MigrationCluster.Benchmarks.Blackout;

/// <summary>A PostgreSQL of its own in a temporary directory, listening on a UNIX socket there; it syncs as one in use does.</summary>
/// <remarks>It refuses to run as root: then it runs as user postgres.</remarks>
internal sealed class BenchPostgres : IDisposable
{
    private static readonly string? Programs = Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin"))
            .LastOrDefault(bin => File.Exists(Path.Combine(bin, "initdb")))
        : null;

    private readonly string _directory = Directory.CreateTempSubdirectory("mcpg").FullName;

    internal BenchPostgres()
    {
        if (Environment.IsPrivilegedProcess) Run("/usr/bin/chown", "postgres", _directory);
        Program("initdb", "--pgdata", Data, "--username", "mc", "--auth", "trust");
        Program(
            "pg_ctl", "--pgdata", Data, "--wait", "--silent", "--log", Path.Combine(_directory, "log"),
            "--options", $"-k {_directory} -c listen_addresses=''", "start");
    }

    internal static bool IsInstalled => Programs is not null;

    internal string Connection => $"Host={_directory};Username=mc;Database=postgres";

    private string Data => Path.Combine(_directory, "data");

    public void Dispose()
    {
        Program("pg_ctl", "--pgdata", Data, "--wait", "--silent", "--mode", "fast", "stop");
        Directory.Delete(_directory, recursive: true);
    }

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
