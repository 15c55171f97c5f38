using System.Diagnostics;

namespace MigrationCluster.Guest.Processes;

/// <summary>What a device server writes to its standard error: passed on to this process's own, the guest's log, and the last lines kept.</summary>
/// <remarks>Read by a task of its own rather than by Process, whose WaitForExit would then wait for a grandchild that holds the pipe, too.</remarks>
internal sealed class ServerOutput
{
    private const int KeptLines = 8;
    private static readonly TimeSpan EndWait = TimeSpan.FromMilliseconds(500);

    private readonly Queue<string> _lines = new();
    private readonly Task _reading;
    private long _lastLine = Stopwatch.GetTimestamp();

    public ServerOutput(StreamReader error) => _reading = Task.Run(() => PassOnAsync(error));

    /// <summary>Since its last line; since it was started, before the first.</summary>
    public TimeSpan Silence => Stopwatch.GetElapsedTime(Interlocked.Read(ref _lastLine));

    /// <summary>The last lines, in one; of a server that has ended, all it wrote.</summary>
    public async Task<string> TailAsync()
    {
        await Task.WhenAny(_reading, Task.Delay(EndWait));
        lock (_lines) return _lines.Count == 0 ? "it wrote nothing" : string.Join(" | ", _lines);
    }

    private async Task PassOnAsync(StreamReader error)
    {
        try
        {
            while (await error.ReadLineAsync() is { } line)
            {
                Interlocked.Exchange(ref _lastLine, Stopwatch.GetTimestamp());
                await Console.Error.WriteLineAsync(line);
                lock (_lines)
                {
                    if (_lines.Count == KeptLines) _lines.Dequeue();
                    _lines.Enqueue(line);
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The server is gone, and its end of the pipe with it.
        }
    }
}
