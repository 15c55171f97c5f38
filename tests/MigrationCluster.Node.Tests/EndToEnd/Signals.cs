using System.Runtime.InteropServices;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>What happens to processes in these tests.</summary>
internal static class Signals
{
    private const int Kill = 9;
    private const int Terminate = 15;
    private const int Continue = 18;
    private const int Stop = 19;

    /// <summary>kill -9: nothing of the process runs any more.</summary>
    public static void KillNow(int process) => Send(process, Kill);

    public static void KillIfThere(int process) => _ = kill(process, Kill);

    public static void AskToEnd(int process) => Send(process, Terminate);

    /// <summary>It answers nobody and holds all it has, until <see cref="Thaw"/> or a kill.</summary>
    public static void Freeze(int process) => Send(process, Stop);

    public static void Thaw(int process) => Send(process, Continue);

    private static void Send(int process, int signal)
    {
        // SAFETY: kill(2) takes two integers; callers name processes that their own fleet started.
        if (kill(process, signal) != 0)
            throw new InvalidOperationException(
                $"cannot send signal {signal} to {process}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int kill(int process, int signal);
}
