using System.Globalization;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>What /proc tells of processes.</summary>
internal static class ProcessFiles
{
    /// <returns>every process with <paramref name="text"/> in its command line, zombies left out: id and command line.</returns>
    public static IReadOnlyList<(int Id, string CommandLine)> Naming(string text)
    {
        var found = new List<(int, string)>();
        foreach (string entry in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(entry), NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                && Read($"/proc/{id}/cmdline") is { } commandLine && commandLine.Contains(text, StringComparison.Ordinal))
                found.Add((id, commandLine.Replace('\0', ' ')));
        return found;
    }

    /// <returns>anonymous memory in MiB.</returns>
    public static long AnonymousMiB(int process)
    {
        string line = File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) >> 10;
    }

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
