using System.Globalization;

namespace MigrationCluster.Cli.Demo;

/// <summary>
/// The demo's processes, found by what they are and not by who started them: a guest process runs in a session of its
/// own and outlives its node, so no parent knows it. Each of ours has the demo's folder, whose name is drawn at random,
/// in its arguments.
/// </summary>
public static class ProcessSweep
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(30);

    /// <returns>ids of mc-node and mc-guest processes with <paramref name="folder"/> in their arguments.</returns>
    public static IReadOnlyList<int> Find(string folder)
    {
        var found = new List<int>();
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int id) &&
                Belongs(id, folder))
            {
                found.Add(id);
            }
        }
        return found;
    }

    /// <summary>Ends them all, asking first. Call it when no node is left that could start another.</summary>
    /// <returns>what is still alive after 10 s; empty normally.</returns>
    public static async Task<IReadOnlyList<int>> EndAsync(string folder, TimeProvider time)
    {
        long started = time.GetTimestamp();
        var asked = new HashSet<int>();
        int emptyLooks = 0;
        IReadOnlyList<int> alive = [];
        // Two empty looks in a row: a process may start another between being looked at and being ended.
        while (emptyLooks < 2 && time.GetElapsedTime(started) < Limit)
        {
            alive = Find(folder);
            emptyLooks = alive.Count == 0 ? emptyLooks + 1 : 0;
            bool patient = time.GetElapsedTime(started) < Grace;
            foreach (int id in alive)
            {
                if (asked.Add(id)) Signals.Send(id, Signals.Terminate, () => Belongs(id, folder));
                else if (!patient) Signals.Send(id, Signals.Kill, () => Belongs(id, folder));
            }
            await Task.Delay(BetweenLooks, time);
        }
        return alive;
    }

    private static bool Belongs(int process, string folder)
    {
        string[] arguments;
        try
        {
            arguments = File.ReadAllText($"/proc/{process}/cmdline").Split('\0');
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false; // Gone, or somebody else's.
        }
        // Any argument: the shell that is about to become mc-guest is ours as well. An editor of a log is not.
        return arguments.Any(argument => Path.GetFileName(argument) is "mc-node" or "mc-guest") &&
            arguments.Any(argument => argument.Contains(folder, StringComparison.Ordinal));
    }
}
