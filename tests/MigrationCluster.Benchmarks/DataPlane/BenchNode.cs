using System.Diagnostics;
using System.Globalization;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>A real mc-node process, as an operator runs it.</summary>
internal sealed class BenchNode : IAsyncDisposable
{
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(20);

    private readonly Process _process;

    private BenchNode(Process process, Uri address) => (_process, Address) = (process, address);

    internal Uri Address { get; }

    /// <summary>Anonymous memory now.</summary>
    internal double AnonymousMiB
    {
        get
        {
            string line = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
            return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1024.0;
        }
    }

    /// <param name="join">the coordinator; null: this one coordinates.</param>
    /// <param name="postgres">the coordinator's store; null: its own.</param>
    internal static async Task<BenchNode> StartAsync(
        string name, string folder, Uri? join, CancellationToken cancellationToken, string? postgres = null)
    {
        var start = new ProcessStartInfo(BenchGuest.ExecutableOf("MigrationCluster.Node", "mc-node")) { UseShellExecute = false, RedirectStandardOutput = true };
        foreach (string argument in (string[])
            ["--name", name, "--listen", "127.0.0.1:0", "--data-dir", Path.Combine(folder, name), "--config", Path.Combine(folder, "node.json"),
                .. join is null ? (string[])["--coordinator", .. postgres is null ? (string[])[] : ["--engine", "postgres", "--connection", postgres]] : (string[])["--join", join.ToString().TrimEnd('/')]])
            start.ArgumentList.Add(argument);
        var process = Process.Start(start)!;
        const string ready = "listening on ";
        try
        {
            while (await process.StandardOutput.ReadLineAsync(cancellationToken) is { } line)
            {
                int at = line.IndexOf(ready, StringComparison.Ordinal);
                if (at < 0) continue;
                _ = process.StandardOutput.ReadToEndAsync(CancellationToken.None); // what else it says is nobody's, but must not fill the pipe
                return new BenchNode(process, new Uri(line[(at + ready.Length)..].Trim()));
            }
            throw new IOException($"mc-node {name} ended before it listened");
        }
        catch
        {
            process.Kill();
            process.Dispose();
            throw;
        }
    }

    /// <summary>Asks it to end; guests must have been stopped.</summary>
    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(EndLimit);
        try
        {
            using var ask = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }
        _process.Dispose();
    }
}
