using System.Globalization;
using System.Runtime.InteropServices;

namespace MigrationCluster.Node.Guests;

/// <summary>The processes of a guest as /proc shows them: found by the guest's directory in their arguments, so that
/// they are found again after a daemon's restart, orphaned device servers too.</summary>
/// <remarks>What cannot be read (no descriptor left, say) is not therefore dead: then every method throws <see cref="IOException"/>.</remarks>
public static class ProcessTable
{
    private const string Proc = "/proc";
    private const int SigKill = 9;
    private const int NoSuchProcess = 3;

    /// <returns>mc-guest processes that name <paramref name="directory"/>, or a file in it, in their arguments.</returns>
    public static IReadOnlyList<GuestTask> Of(string directory)
    {
        var found = new List<GuestTask>();
        foreach (string entry in Directory.EnumerateDirectories(Proc))
            if (int.TryParse(Path.GetFileName(entry), NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                && ReadArguments(id) is { } arguments && IsGuest(arguments, directory) && ReadStart(id, Proc) is { } start)
                found.Add(new GuestTask(id, start, arguments.Contains("run")));
        return found;
    }

    /// <summary>Whether this very process still runs; a zombie does not.</summary>
    /// <param name="proc">where processes show.</param>
    public static bool IsAlive(GuestTask task, string proc = Proc) => ReadStart(task.Id, proc) == task.StartTicks;

    /// <summary>Whether a process that <paramref name="parent"/> started still runs; a zombie does not. Its parent tells it from a later one
    /// of the same id.</summary>
    public static bool IsChild(int id, int parent) =>
        ReadStatus(id, Proc) is { } fields && int.Parse(fields[1], CultureInfo.InvariantCulture) == parent;

    public static void Kill(GuestTask task)
    {
        if (!IsAlive(task)) return;
        // SAFETY: kill(2) takes two integers. The id was checked to be this process just now; ids are not reused at once.
        if (kill(task.Id, SigKill) != 0 && Marshal.GetLastPInvokeError() is not NoSuchProcess and var errno)
            throw new IOException($"cannot kill process {task.Id}: {Marshal.GetPInvokeErrorMessage(errno)}");
    }

    /// <summary>The process's start in clock ticks since boot, field 22 of /proc/ID/stat (proc(5)); null when it is gone
    /// or a zombie. Tells a process from a later one of the same id.</summary>
    private static long? ReadStart(int id, string proc) =>
        ReadStatus(id, proc) is { } fields ? long.Parse(fields[19], CultureInfo.InvariantCulture) : null;

    /// <returns>the fields of /proc/ID/stat from the third on; null when the process is gone or a zombie.</returns>
    private static string[]? ReadStatus(int id, string proc)
    {
        if (ReadFile($"{proc}/{id}/stat") is not { } stat) return null;
        // The name in field 2 may hold anything, blanks and parentheses too: count from its last parenthesis.
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return fields[0] is "Z" or "X" ? null : fields;
    }

    private static bool IsGuest(string[] arguments, string directory) =>
        arguments.Take(2).Any(argument => Path.GetFileNameWithoutExtension(argument) == "mc-guest")
        && Array.Exists(arguments, argument =>
            argument == directory || argument.StartsWith(directory + "/", StringComparison.Ordinal));

    private static string[]? ReadArguments(int id) => ReadFile($"{Proc}/{id}/cmdline")?.Split('\0');

    /// <returns>null: the process is gone, or is somebody else's.</returns>
    private static string? ReadFile(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException
            or IOException { HResult: NoSuchProcess })
        {
            // The last: it went between the opening and the reading.
            return null;
        }
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int kill(int id, int signal);
}

/// <param name="StartTicks">when it started, in clock ticks since boot.</param>
/// <param name="Main">the guest process itself, not one of its device servers.</param>
public sealed record GuestTask(int Id, long StartTicks, bool Main);
