using System.Diagnostics;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>The programs of the PostgreSQL that is installed here. It refuses to run as root: then they run as user postgres.</summary>
internal static class PostgresPrograms
{
    private static readonly string? Folder = Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin"))
            .LastOrDefault(bin => File.Exists(Path.Combine(bin, "initdb")))
        : null;

    internal static bool AreInstalled => Folder is not null;

    /// <summary>A new directory that the programs may write to.</summary>
    internal static string NewDirectory()
    {
        string directory = Directory.CreateTempSubdirectory("mcpg").FullName;
        if (Environment.IsPrivilegedProcess) Run("/usr/bin/chown", "postgres", directory);
        return directory;
    }

    /// <exception cref="InvalidOperationException">it failed.</exception>
    internal static void Program(string name, params string[] arguments)
    {
        string program = Path.Combine(Folder!, name);
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
