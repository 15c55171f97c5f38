using System.Runtime.InteropServices;

namespace MigrationCluster.Cli.Demo;

/// <summary>The one system call .NET has no name for: asking a process to end, rather than killing it.</summary>
internal static class Signals
{
    internal const int Terminate = 15;
    internal const int Kill = 9;

    /// <param name="stillOurs">false: the process is gone, and its id may be somebody else's by now.</param>
    internal static void Send(int process, int signal, Func<bool> stillOurs)
    {
        // A process that ends between the question and the call is no error, hence no look at the result.
        if (stillOurs()) _ = kill(process, signal);
    }

    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int process, int signal);
}
