using System.Collections.Concurrent;
using System.Diagnostics;
using MigrationCluster.Api;
using MigrationCluster.Chaos.Cluster.Judging;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>One run, inside its folder and namespaces: starts the cluster, drives load and faults side by side, heals, judges, and ends the cluster
/// in good order. Whoever started it takes away what is left.</summary>
internal sealed class ChaosRun(ChaosSettings settings, Action<string> say)
{
    /// <summary>Nobody waits for it but a run that does not heal: a machine that is busy with other work was seen to need more than 120 s for a migration
    /// of each guest.</summary>
    private static readonly TimeSpan HealLimit = TimeSpan.FromSeconds(300);
    private readonly ConcurrentBag<Struck> _struck = [];
    private readonly ConcurrentBag<string> _broken = [];

    public async Task<ChaosReport> RunAsync(CancellationToken cancel)
    {
        var started = DateTimeOffset.UtcNow;
        var clock = Stopwatch.StartNew();
        var strikes = settings.Strikes ?? Schedule.Draw(settings);
        using var cluster = new ChaosCluster(settings);
        var watcher = new Watcher(cluster, clock);
        var load = new Load(cluster, watcher);
        IReadOnlyList<MigrationView> migrations = [];
        IReadOnlyList<string> stuck = [], disorder = [];
        double healedAt = 0;
        bool interrupted = false;
        try
        {
            await cluster.StartAsync(cancel);
            say($"{settings.Daemons.Count} daemons, {settings.Guests} guests are up; {strikes.Count} strikes in {settings.Minutes:F1} min");
            clock.Restart();
            started = DateTimeOffset.UtcNow;
            using var watching = new CancellationTokenSource();
            var watch = watcher.WatchAsync(watching.Token);
            await BreakAsync(cluster, load, strikes, clock, cancel);
            healedAt = clock.Elapsed.TotalSeconds;
            say("healing: no more faults");
            await cluster.MendAsync();
            await cluster.UntilJoinedAsync(cancel);
            var unhealed = await load.HealAsync(HealLimit, cancel);
            stuck = [.. unhealed.Select(one => one.Why)];
            // What is still under way is not at rest.
            foreach (string guest in settings.GuestNames.Except(unhealed.Select(one => one.Guest))) await RestJudge.JudgeAsync(cluster, watcher, guest, cancel);
            await watching.CancelAsync();
            await watch;
            migrations = await cluster.Client().ListMigrationsAsync(cancel);
            disorder = await cluster.EndAsync();
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            interrupted = true;
        }
        catch (Exception error) when (error is IOException or ApiException or Devices.Ownership.FenceFileException)
        {
            _broken.Add($"the run itself: {error.Message}");
        }

        var findings = watcher.Findings.ToList();
        if (!interrupted) findings.AddRange((await RestJudge.JournalsAsync(cluster, _ => true))
            .Select(violation => new Finding(clock.Elapsed.TotalSeconds, "", violation.Invariant, violation.Detail)));
        cluster.Database?.Stop();
        return ChaosReport.Of(
            settings, started, healedAt, interrupted, strikes, [.. _struck.OrderBy(one => one.From)], migrations, findings,
            [.. stuck, .. disorder, .. _broken], load, watcher);
    }

    /// <summary>Returns when the time is over and every fault is undone.</summary>
    private async Task BreakAsync(ChaosCluster cluster, Load load, IReadOnlyList<Strike> strikes, Stopwatch clock, CancellationToken cancel)
    {
        using var healing = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        healing.CancelAfter(settings.Duration);
        using var working = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var work = load.RunAsync(working.Token);
        var under = new List<Task>();
        foreach (var strike in strikes)
        {
            var wait = TimeSpan.FromSeconds(strike.At) - clock.Elapsed;
            if (wait > TimeSpan.Zero) await Task.Delay(wait, healing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (healing.IsCancellationRequested) break;
            under.Add(StrikeAsync(cluster, strike, clock, healing.Token));
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, healing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(under);
        await working.CancelAsync();
        await work;
        cancel.ThrowIfCancellationRequested();
    }

    private async Task StrikeAsync(ChaosCluster cluster, Strike strike, Stopwatch clock, CancellationToken healing)
    {
        try
        {
            using var held = strike.Parameters.TryGetValue("target", out string? target) ? await cluster.HoldAsync(target, healing) : null;
            double from = clock.Elapsed.TotalSeconds;
            say(strike.ToString());
            await Fault.Find(strike.Fault).StrikeAsync(cluster, strike, healing);
            _struck.Add(new Struck(strike.Number, strike.Fault, strike.ToString(), from, clock.Elapsed.TotalSeconds));
        }
        catch (OperationCanceledException)
        {
            // Its target was not free before the time was over: it did not strike.
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            _broken.Add($"{strike}: {error.Message}");
        }
    }
}

/// <param name="From">seconds since the run's start.</param>
/// <param name="To">when it was undone.</param>
internal sealed record Struck(int Number, string Fault, string What, double From, double To);
