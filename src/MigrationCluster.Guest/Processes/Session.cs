using System.Runtime.InteropServices;

namespace MigrationCluster.Guest.Processes;

/// <summary>The session a process belongs to: a terminal's Ctrl-C and the end of a service reach whole sessions and groups.</summary>
internal static class Session
{
    /// <summary>Moves this process into a session of its own.</summary>
    /// <returns>false: it leads a process group already, as when started by a shell with job control.</returns>
    public static bool TryLeave()
    {
        // SAFETY: neither call takes or returns memory.
        return setsid() >= 0 || getsid(0) == Environment.ProcessId;
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int setsid();

    [DllImport("libc", SetLastError = true)]
    private static extern int getsid(int process);
}
