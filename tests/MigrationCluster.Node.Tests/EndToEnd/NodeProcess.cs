using System.Diagnostics;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Failpoints, as in the environment of a daemon.</summary>
/// <param name="Daemon">its own.</param>
/// <param name="Guests">of the guest processes it launches.</param>
internal sealed record Armed(string? Daemon = null, string? Guests = null);

/// <summary>One mc-node as an operator runs it: its own process, its log in the fleet's folder.</summary>
internal sealed class NodeProcess : IDisposable
{
    private const string ReadyLine = "listening on ";
    private readonly Process _process;
    private readonly string _log;

    private NodeProcess(Process process, string log) => (_process, _log) = (process, log);

    public int Id => _process.Id;

    /// <summary>Where it answers; known when <see cref="StartAsync"/> returns.</summary>
    public Uri Address { get; private set; } = null!;

    public string Log => File.ReadAllText(_log);

    public bool HasEnded => _process.HasExited;

    /// <summary>Returns when it listens.</summary>
    /// <param name="log">its output is appended there.</param>
    /// <param name="armed">the failpoints that it and the guest processes it launches are armed with; null: none.</param>
    /// <param name="within">a command that becomes the node, e.g. ip netns exec; null: none.</param>
    public static async Task<NodeProcess> StartAsync(string log, string[] arguments, Armed? armed = null, string[]? within = null)
    {
        var node = Run(log, arguments, armed, within ?? []);
        long before = new FileInfo(log) is { Exists: true } file ? file.Length : 0;
        string? ready = null;
        await Eventually.TrueAsync($"mc-node listens: {log}", () =>
        {
            if (node._process.HasExited)
                throw new InvalidOperationException($"mc-node ended with {node._process.ExitCode}: {node.Log}");
            ready = File.Exists(log) ? LineOf(File.ReadAllBytes(log).AsSpan((int)before)) : null;
            return Task.FromResult(ready is not null);
        });
        node.Address = new Uri(ready!);
        return node;
    }

    /// <summary>Runs a node that is expected to end by itself.</summary>
    public static async Task<(int Status, string Output)> RunToEndAsync(string log, params string[] arguments)
    {
        using var node = Run(log, arguments, null, []);
        await node._process.WaitForExitAsync().WaitAsync(Eventually.Limit);
        return (node._process.ExitCode, node.Log);
    }

    public async Task KillAsync()
    {
        Signals.KillNow(Id);
        await _process.WaitForExitAsync();
    }

    /// <returns>its exit status.</returns>
    public async Task<int> EndAsync()
    {
        if (!_process.HasExited) Signals.AskToEnd(Id);
        await _process.WaitForExitAsync().WaitAsync(Eventually.Limit);
        return _process.ExitCode;
    }

    public void Dispose() => _process.Dispose();

    private static NodeProcess Run(string log, string[] arguments, Armed? armed, string[] within)
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        start.Environment["MC_FAILPOINTS"] = armed?.Daemon;
        start.Environment["MC_GUEST_FAILPOINTS"] = armed?.Guests;
        foreach (string argument in (string[])
            ["-c", "exec </dev/null >>\"$1\" 2>&1; shift; exec \"$@\"", "sh", log, .. within, Executable, .. arguments])
            start.ArgumentList.Add(argument);
        return new NodeProcess(Process.Start(start)!, log);
    }

    /// <summary>mc-node in its own project's output: the copy beside these tests would look for mc-guest in vain.</summary>
    private static string Executable { get; } = Path.GetFullPath(Path.Combine(
        AppContext.BaseDirectory, "..", "..", "MigrationCluster.Node",
        Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "mc-node"));

    private static string? LineOf(ReadOnlySpan<byte> output)
    {
        string text = System.Text.Encoding.UTF8.GetString(output);
        int at = text.IndexOf(ReadyLine, StringComparison.Ordinal);
        int end = at < 0 ? -1 : text.IndexOf('\n', at);
        return end < 0 ? null : text[(at + ReadyLine.Length)..end].Trim();
    }
}
