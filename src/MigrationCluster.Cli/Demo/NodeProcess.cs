using System.Diagnostics;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>One mc-node that the demo has started.</summary>
/// <remarks>It runs in a session of its own: a Ctrl-C at the terminal reaches migctl alone, which then stops everything
/// in order, and with --keep the node outlives migctl. Its output goes to a file for the same reason.</remarks>
public sealed class NodeProcess : IDisposable
{
    /// <summary>Error code: it ended while starting, or was not ready in time. The reasons are its last words.</summary>
    public const string Failed = "demo.node-failed";

    private const string ReadyLine = "listening on ";

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(20);

    /// <summary>Arguments: log file, then the command. Everything is replaced by exec, so the id stays the node's.</summary>
    private const string Launcher = """
        exec </dev/null >>"$1" 2>&1; shift
        if command -v setsid >/dev/null; then exec setsid "$@"; else exec "$@"; fi
        """;

    private readonly Process _process;
    private readonly string _log;

    private NodeProcess(string name, Process process, string log)
    {
        Name = name;
        _process = process;
        _log = log;
    }

    public string Name { get; }
    public int Id => _process.Id;

    public static NodeProcess Start(string executable, string name, string log, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        foreach (string argument in (string[])["-c", Launcher, "sh", log, executable, "--name", name, .. arguments])
            start.ArgumentList.Add(argument);
        return new NodeProcess(name, Process.Start(start)!, log);
    }

    /// <returns>the URL it answers at.</returns>
    /// <exception cref="ApiException">it ended, or said nothing for 20 s.</exception>
    public async Task<Uri> ReadyAsync(CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < StartLimit)
        {
            // Asked before the log is read: what it said before it ended is in there.
            bool ended = _process.HasExited;
            foreach (string line in LogLines())
            {
                int at = line.IndexOf(ReadyLine, StringComparison.Ordinal);
                if (at >= 0 && Uri.TryCreate(line[(at + ReadyLine.Length)..].Trim(), UriKind.Absolute, out var url)) return url;
            }
            if (ended) throw Failure($"node {Name} ended with exit code {_process.ExitCode} while starting");
            await Task.Delay(BetweenLooks, cancellationToken);
        }
        throw Failure($"node {Name} was not ready after {StartLimit.TotalSeconds:F0} s");
    }

    /// <summary>The last lines it wrote; empty while it has written nothing.</summary>
    public IReadOnlyList<string> LogTail(int lines) => [.. LogLines().TakeLast(lines)];

    /// <summary>SIGTERM, and SIGKILL if that is not enough; returns when it is gone.</summary>
    /// <returns>its exit code; 0 when it ended in order.</returns>
    public async Task<int> StopAsync(TimeSpan grace)
    {
        Signals.Send(_process.Id, Signals.Terminate, () => !_process.HasExited);
        using var limit = new CancellationTokenSource(grace);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }
        return _process.ExitCode;
    }

    public void Dispose() => _process.Dispose();

    private ApiException Failure(string message) => new(
        new ApiError(Failed, message,
            [.. LogTail(20).Select(line => new Reason("demo.node-log", line, ""))]),
        ApiException.Unreachable);

    private string[] LogLines()
    {
        try
        {
            using var reader = new StreamReader(
                new FileStream(_log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
            string text = reader.ReadToEnd();
            // A line is complete only with its end: half a URL is a URL too.
            int end = text.LastIndexOf('\n');
            return end < 0 ? [] : text[..end].Split('\n');
        }
        catch (FileNotFoundException)
        {
            return [];
        }
    }
}
