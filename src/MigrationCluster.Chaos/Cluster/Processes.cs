using System.Globalization;
using System.Runtime.InteropServices;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>Processes as /proc shows them, and signals to them.</summary>
internal static class Processes
{
    public const int Kill = 9;
    public const int Terminate = 15;
    public const int Continue = 18;
    public const int Stop = 19;

    /// <returns>every process but this one that names the text in its command line or environment, or works in a folder of that
    /// name: a database's processes rewrite the first two. Zombies name nothing.</returns>
    public static IReadOnlyList<(int Id, string Command)> Naming(string text)
    {
        var found = new List<(int, string)>();
        foreach (string entry in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(entry), NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                || id == Environment.ProcessId) continue;
            string command = Read($"{entry}/cmdline");
            if (command.Contains(text, StringComparison.Ordinal) || Read($"{entry}/environ").Contains(text, StringComparison.Ordinal)
                || WorksIn(entry).Contains(text, StringComparison.Ordinal)) found.Add((id, command.Replace('\0', ' ').Trim()));
        }

        return found;
    }

    /// <returns>whether it was there to be told.</returns>
    public static bool Send(int process, int signal) => kill(process, signal) == 0;

    /// <summary>The process is there and is no zombie.</summary>
    public static bool Lives(int process) => State(process) is not (null or 'Z' or 'X');

    /// <summary>By SIGSTOP.</summary>
    public static bool StandsStill(int process) => State(process) is 'T';

    private static char? State(int process)
    {
        string stat = Read($"/proc/{process}/stat");
        int end = stat.LastIndexOf(')');
        return end > 0 && stat.Length > end + 2 ? stat[end + 2] : null;
    }

    private static string WorksIn(string entry)
    {
        try
        {
            return Directory.ResolveLinkTarget($"{entry}/cwd", false)?.FullName ?? "";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    // SAFETY: kill(2) takes two integers; callers name processes of their own cluster.
    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int process, int signal);
}
