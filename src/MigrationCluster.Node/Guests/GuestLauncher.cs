using System.Diagnostics;

namespace MigrationCluster.Node.Guests;

/// <summary>Starts a guest process so that it outlives the daemon: in a session of its own, output to its own log.</summary>
internal static class GuestLauncher
{
    /// <summary>Arguments: log file, then the command. Everything is replaced by exec, so the id stays the guest's.</summary>
    private const string Shell = """
        exec </dev/null >>"$1" 2>&1; shift
        if command -v setsid >/dev/null; then exec setsid "$@"; else exec "$@"; fi
        """;

    private const string RuntimeDiagnostics = "DOTNET_EnableDiagnostics";

    /// <summary>How long a guest process may take until its sockets listen. One that ends is noticed at once; this is for one that hangs, and
    /// longer than it gives its own device servers, so that it can say which.</summary>
    private static readonly TimeSpan ReadyLimit = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(20);

    /// <summary>Starts it and waits until it is ready. Leaves no process behind when it fails.</summary>
    /// <exception cref="IOException">it ended or was not ready in time; carries the last lines of its log.</exception>
    public static async Task<GuestTask> StartAsync(GuestFolder folder, TimeProvider time, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        foreach (string argument in (string[])
            ["-c", Shell, "sh", folder.Log, GuestExecutable.Find(), "run", "--directory", folder.Path])
            start.ArgumentList.Add(argument);
        // The runtime's own sockets in the temporary folder would stay for good when the guest is killed. Who wants them says so.
        start.Environment.TryAdd(RuntimeDiagnostics, "0");
        using var process = Process.Start(start) ?? throw new IOException("cannot start /bin/sh");
        try
        {
            await UntilReadyAsync(process, folder, time, cancellationToken);
            return ProcessTable.Of(folder.Path).FirstOrDefault(task => task.Id == process.Id)
                ?? throw new IOException($"the guest process ended at once: {folder.LogTail()}");
        }
        catch
        {
            // Before its exec the process does not name the folder yet, so it is also killed by its id.
            process.Kill();
            foreach (var task in ProcessTable.Of(folder.Path)) ProcessTable.Kill(task);
            await process.WaitForExitAsync(CancellationToken.None);
            throw;
        }
    }

    private static async Task UntilReadyAsync(
        Process process, GuestFolder folder, TimeProvider time, CancellationToken cancellationToken)
    {
        long started = time.GetTimestamp();
        while (!folder.IsReady)
        {
            if (process.HasExited)
                throw new IOException($"the guest process ended with status {process.ExitCode}: {folder.LogTail()}");
            if (time.GetElapsedTime(started) > ReadyLimit)
                throw new IOException($"the guest process was not ready after {ReadyLimit.TotalSeconds} s: {folder.LogTail()}");
            await Task.Delay(BetweenLooks, time, cancellationToken);
        }
    }
}
