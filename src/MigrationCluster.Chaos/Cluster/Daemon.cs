using System.Diagnostics;
using System.Text;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>Failpoints in the environment of a daemon: its own, and those of the guest processes it launches.</summary>
internal sealed record Armed(string? Own = null, string? Guests = null);

/// <summary>One mc-node as an operator runs it, in a session of its own so that a Ctrl-C at the terminal is not its.</summary>
/// <param name="program">its command before its own arguments.</param>
internal sealed class Daemon(string name, string log, string[] program, Func<int, string[]> arguments) : IDisposable
{
    private const string ReadyLine = "listening on ";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);
    private Process? _process;
    private int _port;

    public string Name => name;

    public int Id => _process!.Id;

    public bool Lives => _process is { HasExited: false };

    /// <summary>What it is armed with whenever it is started and nothing else is said.</summary>
    public Armed? Armed { get; set; }

    /// <summary>What the process that runs now was armed with.</summary>
    public Armed? StartedWith { get; private set; }

    /// <summary>Everything of <see cref="StartedWith"/> has fired.</summary>
    public void Spent() => StartedWith = null;

    /// <summary>Where it answers; known once it has started.</summary>
    public Uri Address { get; private set; } = null!;

    /// <summary>Starts it, or starts it again where it was; returns when it listens.</summary>
    /// <exception cref="IOException">it ended instead, or does not listen in time.</exception>
    public async Task StartAsync(Armed? armed = null)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(500))
        {
            try
            {
                await StartOnceAsync(armed);
                return;
            }
            catch (IOException error) when (error.Message.Contains("mc-node: PostgreSQL at", StringComparison.Ordinal) && watch.Elapsed < Limit)
            {
                // It ends where its database is away, as one that a fault has stopped: a service manager starts it again.
            }
        }
    }

    private async Task StartOnceAsync(Armed? armed)
    {
        StartedWith = armed ??= Armed;
        long before = File.Exists(log) ? new FileInfo(log).Length : 0;
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        start.Environment["MC_FAILPOINTS"] = armed?.Own;
        start.Environment["MC_GUEST_FAILPOINTS"] = armed?.Guests;
        foreach (string argument in (string[])
            ["-c", "log=$1; shift; exec setsid \"$@\" </dev/null >>\"$log\" 2>&1", "sh", log, .. program, .. arguments(_port)])
            start.ArgumentList.Add(argument);
        // The one before is not disposed of: somebody may just be asking whether it lives.
        _process = Process.Start(start)!;
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(50))
        {
            if (_process.HasExited) throw new IOException($"{name} ended with {_process.ExitCode}: {Tail(before)}");
            string said = ReadLog(before);
            int at = said.IndexOf(ReadyLine, StringComparison.Ordinal);
            int end = at < 0 ? -1 : said.IndexOf('\n', at);
            if (end > 0)
            {
                Address = new Uri(said[(at + ReadyLine.Length)..end].Trim());
                _port = Address.Port;
                return;
            }

            if (watch.Elapsed > Limit) throw new IOException($"{name} does not listen after {Limit.TotalSeconds:F0} s: {Tail(before)}");
        }
    }

    public async Task KillAsync()
    {
        if (!Lives) return;
        Processes.Send(Id, Processes.Kill);
        await _process!.WaitForExitAsync();
    }

    /// <returns>its exit status; null: it did not end in time and was killed.</returns>
    public async Task<int?> EndAsync()
    {
        if (!Lives) return _process?.ExitCode;
        Processes.Send(Id, Processes.Continue);
        Processes.Send(Id, Processes.Terminate);
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            await _process!.WaitForExitAsync(limit.Token);
            return _process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            await KillAsync();
            return null;
        }
    }

    /// <summary>Ends it and starts it again, the hold in between.</summary>
    /// <exception cref="IOException">it did not end in good order.</exception>
    public async Task RestartAsync(Func<Task> between)
    {
        var status = await EndAsync();
        await between();
        await StartAsync();
        if (status is not 0) throw new IOException($"{name}, asked to end, {(status is null ? "did not" : $"ended with {status}")}");
    }

    public void Dispose() => _process?.Dispose();

    private string Tail(long from) => ReadLog(from) is { Length: > 2000 } text ? text[^2000..] : ReadLog(from);

    private string ReadLog(long from)
    {
        if (!File.Exists(log)) return "";
        using var file = new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Seek(from, SeekOrigin.Begin);
        using var reader = new StreamReader(file, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
