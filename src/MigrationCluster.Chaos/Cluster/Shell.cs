using System.ComponentModel;
using System.Diagnostics;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>Short programs that are run to their end, and where this system's own programs are.</summary>
internal static class Shell
{
    /// <returns>what it wrote on standard output.</returns>
    /// <exception cref="IOException">it cannot be run, or failed; names the command and what it said.</exception>
    public static string Run(params string[] command)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(command[0], command[1..])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = "/",
            })!;
            var error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0
                ? output
                : throw new IOException($"{string.Join(' ', command)} ended with {process.ExitCode}: {error.Result.Trim()}");
        }
        catch (Win32Exception missing)
        {
            throw new IOException($"{command[0]} cannot be run: {missing.Message}", missing);
        }
    }

    /// <summary>In the sibling project's folder after a build, beside mc-chaos once installed.</summary>
    /// <exception cref="IOException">in neither place.</exception>
    public static string Find(string project, string program)
    {
        string own = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        string[] places =
        [
            Path.GetFullPath(Path.Combine(own, "..", "..", project, Path.GetFileName(own), program)),
            Path.Combine(own, program),
        ];
        return places.FirstOrDefault(File.Exists)
            ?? throw new IOException($"{program} is needed and is neither {string.Join(" nor ", places)}: build the solution first");
    }
}
