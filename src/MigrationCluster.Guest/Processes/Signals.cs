using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MigrationCluster.Guest.Processes;

/// <summary>Signals that .NET has no call for.</summary>
internal static class Signals
{
    private const int SIGTERM = 15;

    /// <summary>Asks a child to end in good order; one that has ended already is left in peace.</summary>
    public static void Terminate(Process child)
    {
        // SAFETY: no memory involved. The child is not reaped before its Process object is disposed, so the id is still its own.
        if (!child.HasExited) _ = kill(child.Id, SIGTERM);
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int kill(int process, int signal);
}
