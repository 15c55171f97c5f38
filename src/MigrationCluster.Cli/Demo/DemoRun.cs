using System.Diagnostics;
using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Cli.Commands;
using MigrationCluster.Cli.Rendering;
using MigrationCluster.Cli.Watching;

namespace MigrationCluster.Cli.Demo;

/// <summary>
/// The whole story on one machine: two nodes, a guest at work, its migration, its own verdict. However it ends, by
/// success, failure or Ctrl-C at any moment, the same clean-up runs, and only then the result is told.
/// </summary>
public sealed class DemoRun(Invocation run, DemoSettings settings)
{
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(10);

    private readonly long _started = Stopwatch.GetTimestamp();
    private MigrationView? _migration;
    private DemoSelfCheck? _check;
    private ApiError? _error;
    private bool _interrupted;

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        MachineMemory.Require(settings.NeededMiB);
        using var cluster = DemoCluster.Create(NodeExecutable.Find(AppContext.BaseDirectory));
        try
        {
            await TellAsync(cluster, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            _interrupted = true;
        }
        catch (ApiException error)
        {
            _error = error.Error;
            // The last words of a node that would not start are among the error's reasons.
            if (error.Error.Code != NodeProcess.Failed) ShowLogs(cluster);
        }
        bool keep = settings.Keep && !_interrupted && cluster.Coordinator is not null;
        IReadOnlyList<string> leftBehind = keep ? [] : await CleanUpAsync(cluster);
        if (!_interrupted && _error is null && cluster.Disorder.Count > 0)
            _error = new ApiError("demo.node-ended", "a node did not end in order", cluster.Disorder);
        return Conclude(cluster, keep, leftBehind);
    }

    private async Task TellAsync(DemoCluster cluster, CancellationToken cancellationToken)
    {
        Say($"Starting two nodes under {cluster.Folder}");
        await cluster.StartAsync(settings, (name, url) => Say($"  {name,-6} listens on {url.ToString().TrimEnd('/')}"), cancellationToken);
        using var client = new ClusterClient(cluster.Coordinator!);

        var spec = settings.GuestSpec();
        Say($"Starting guest {spec.Name} on {DemoSettings.Source}: {spec.MemoryMiB} MiB, dirtied at " +
            $"{spec.Vcpus.DirtyRateMiBps} MiB/s, with {string.Join(", ", spec.Devices.Select(device => device.Name))}");
        await client.StartGuestAsync(
            JsonSerializer.Serialize(new StartGuestRequest(DemoSettings.Source, spec), Json.Requests), cancellationToken);
        var before = await CheckAsync(client, cancellationToken);

        Say($"Migrating {spec.Name} from {DemoSettings.Source} to {DemoSettings.Destination}, " +
            $"downtime at most {Figures.Ms(settings.MaxDowntime.TotalMilliseconds)}");
        var offset = Stopwatch.GetElapsedTime(_started);
        var started = await client.MigrateAsync(
            new MigrateRequest(spec.Name, DemoSettings.Destination, (int)settings.MaxDowntime.TotalMilliseconds),
            cancellationToken);
        _migration = await new MigrationWatcher(client, run.Terminal, run.Json, TimeProvider.System, offset)
            .WatchAsync(started, cancellationToken);
        _check = new DemoSelfCheck(before, await CheckAsync(client, cancellationToken));
    }

    private async Task<SelfCheckView> CheckAsync(ClusterClient client, CancellationToken cancellationToken)
    {
        var check = await client.CheckGuestAsync(DemoSettings.Guest, cancellationToken);
        Say($"The guest checks itself: {Figures.Count(check.Pages)} pages, {check.Wrong} wrong");
        return check;
    }

    private async Task<IReadOnlyList<string>> CleanUpAsync(DemoCluster cluster)
    {
        Say(_interrupted ? "Interrupted: stopping the guest and both nodes" : "Stopping the guest and both nodes");
        if (!_interrupted && cluster.Coordinator is { } coordinator) await StopGuestAsync(coordinator);
        return await cluster.RemoveAsync(TimeProvider.System);
    }

    /// <summary>The polite way; what it does not reach, the sweep does.</summary>
    private static async Task StopGuestAsync(Uri coordinator)
    {
        using var client = new ClusterClient(coordinator);
        using var limit = new CancellationTokenSource(StopLimit);
        try
        {
            await client.StopGuestAsync(DemoSettings.Guest, limit.Token);
        }
        catch (Exception error) when (error is ApiException or OperationCanceledException)
        {
            // Not started, under way, or nobody answers: the sweep finds it.
        }
    }

    private int Conclude(DemoCluster cluster, bool kept, IReadOnlyList<string> leftBehind)
    {
        string state = _interrupted ? "interrupted" : _error is not null ? "error" : _migration!.Outcome;
        var result = DemoResult.Of(settings, state, _migration, _check, _error, leftBehind);
        if (_error is not null) ErrorText.Write(run.Terminal.Error, _error);
        if (run.Json) run.WriteJson(result);
        else if (_migration is not null && !_interrupted) DemoReport.Write(run.Terminal.Console, result, _migration);
        foreach (string left in leftBehind) run.Terminal.Error.WriteLine($"migctl: left behind: {left}");
        if (kept) SayHowToGoOn(cluster);
        else if (leftBehind.Count == 0) Say("Nothing is left behind: no process, no socket, no file.");
        return ExitCode(result);
    }

    private int ExitCode(DemoResult result)
    {
        if (_interrupted) return run.Interruption.ExitCode;
        if (_error is not null) return ExitCodes.Of(_error);
        int outcome = ExitCodes.Of(_migration!);
        bool flawed = result.LeftBehind.Count > 0 || (_migration!.Outcome == Outcomes.Completed && !result.Verified);
        return outcome == ExitCodes.Done && flawed ? ExitCodes.Error : outcome;
    }

    private void SayHowToGoOn(DemoCluster cluster)
    {
        run.Narration.WriteLine($"""

            The cluster goes on running. Talk to it:
              export {GlobalOptions.CoordinatorVariable}={cluster.Coordinator!.ToString().TrimEnd('/')}
              migctl guest show {DemoSettings.Guest}
              migctl migrate {DemoSettings.Guest} --to {DemoSettings.Source}
            End it, guest, nodes and files:
              migctl demo --end {cluster.Folder}
            """);
    }

    private void ShowLogs(DemoCluster cluster)
    {
        foreach (var node in cluster.Nodes)
            foreach (string line in node.LogTail(5)) run.Terminal.Error.WriteLine($"  {node.Name}: {line}");
    }

    private void Say(string line)
    {
        run.Narration.WriteLine($"{PlainProgress.Clock(Stopwatch.GetElapsedTime(_started).TotalMilliseconds)} {line}");
        run.Narration.Flush();
    }
}
