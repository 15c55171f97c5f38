using System.Collections.Concurrent;
using MigrationCluster.Api;
using MigrationCluster.Chaos.Cluster.Judging;
using MigrationCluster.Protocol.Invariants;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>A guest that was still not at rest.</summary>
internal sealed record Unhealed(string Guest, string Why);

/// <summary>An operator a guest: has it migrated again and again, cancels some, asks for some that do not fit, has it check itself, and replaces it
/// where a fault has killed it.</summary>
internal sealed class Load(ChaosCluster cluster, Watcher watcher)
{
    /// <summary>What an operator does whose guest is refused because blackouts under faults were long: he raises the limit.</summary>
    private const int HealDowntimeMs = 30_000;

    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(300);
    private readonly ConcurrentDictionary<string, int> _refusals = new();
    private int _replaced;

    /// <summary>Requests that were refused by name, by code.</summary>
    public IReadOnlyDictionary<string, int> Refusals => _refusals;

    public int Replaced => _replaced;

    public Task RunAsync(CancellationToken stop) => Task.WhenAll(cluster.Settings.GuestNames.Select((guest, i) => DriveAsync(
        guest, new Random(cluster.Settings.Seed ^ (i * 7919)), stop)));

    /// <summary>Without faults: everything that is under way ends, every guest runs, and moves once more.</summary>
    /// <returns>what did not come to pass in time.</returns>
    public async Task<IReadOnlyList<Unhealed>> HealAsync(TimeSpan limit, CancellationToken cancel)
    {
        using var within = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        within.CancelAfter(limit);
        var stuck = await Task.WhenAll(cluster.Settings.GuestNames.Select(async (guest, i) =>
        {
            string last = "was not asked";
            try
            {
                for (int turn = i; ; turn++, await Task.Delay(AskAgain, within.Token))
                {
                    try
                    {
                        var client = cluster.Client(turn);
                        var view = await client.GetGuestAsync(guest, within.Token);
                        last = $"{view.State} on {view.Host}, migration {view.Migration ?? "none"}, devices " +
                            string.Join(", ", view.Devices.Select(device => $"{device.Name} {device.State}"));
                        if (view.Migration is not null || await ReplacedAsync(client, view, within.Token) || view.State != "running") continue;
                        string to = cluster.Settings.Hosts.First(host => host != view.Host && host != cluster.Misfit(guest));
                        var begun = await client.MigrateAsync(new MigrateRequest(guest, to, HealDowntimeMs), within.Token);
                        last = $"{begun.Id} is moving it from {view.Host} to {to}";
                        var ended = await FollowAsync(begun, null, within.Token);
                        last = $"{ended.Id} {ended.Outcome}: {string.Join("; ", ended.Reasons.Select(reason => reason.Message))}";
                        if (ended.Outcome == Outcomes.Completed) return null;
                    }
                    catch (ApiException error)
                    {
                        last = error.Message;
                        await StartAgainAsync(guest, error, within.Token);
                    }
                }
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                return new Unhealed(guest, $"{guest} has not moved {limit.TotalSeconds:F0} s after the last fault: {last}");
            }
        }));
        return [.. stuck.OfType<Unhealed>()];
    }

    private async Task DriveAsync(string guest, Random random, CancellationToken stop)
    {
        for (int turn = random.Next(3); !stop.IsCancellationRequested; turn++)
        {
            try
            {
                var client = cluster.Client(turn);
                var view = await client.GetGuestAsync(guest, stop);
                if (view.Migration is { } under)
                {
                    await FollowAsync(await client.GetMigrationAsync(under, stop), null, stop);
                    continue;
                }

                if (!await ReplacedAsync(client, view, stop) && view.State == "running")
                {
                    string to = random.NextDouble() < 0.15 && cluster.Misfit(guest) is { } misfit && misfit != view.Host
                        ? misfit
                        : Other(random, guest, view.Host);
                    var begun = await client.MigrateAsync(new MigrateRequest(guest, to, 3000), stop);
                    await FollowAsync(begun, random.NextDouble() < 0.15 ? TimeSpan.FromMilliseconds(random.Next(50, 1500)) : null, stop);
                    await watcher.CheckAsync(guest, turn, stop);
                }
            }
            catch (ApiException error)
            {
                if (error.HttpStatus != ApiException.Unreachable) _refusals.AddOrUpdate(error.Error.Code, 1, (_, count) => count + 1);
                await StartAgainAsync(guest, error, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(50, 400)), stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One that was stopped to be replaced, and whose start then failed, is nowhere: it is tried again.</summary>
    private async Task StartAgainAsync(string guest, ApiException why, CancellationToken cancel)
    {
        if (why.Error.Code != ErrorCodes.GuestUnknown || !cluster.Sacrificed.ContainsKey(guest)) return;
        try
        {
            await cluster.StartGuestAsync(guest, cancel);
            Interlocked.Increment(ref _replaced);
        }
        catch (Exception error) when (error is ApiException or OperationCanceledException)
        {
            // The next turn tries again, and healing says so when none has done it.
        }
    }

    private string Other(Random random, string guest, string than)
    {
        var others = cluster.Settings.Hosts.Where(host => host != than && host != cluster.Misfit(guest)).ToList();
        return others[random.Next(others.Count)];
    }

    private async Task<MigrationView> FollowAsync(MigrationView view, TimeSpan? cancelAfter, CancellationToken stop)
    {
        string id = view.Id;
        if (cancelAfter is { } wait)
        {
            await Task.Delay(wait, stop);
            try
            {
                await cluster.Client().CancelMigrationAsync(id, stop);
            }
            catch (ApiException)
            {
                // It has ended, or is decided: then it is not cancelled.
            }
        }

        for (int turn = 0; view.EndedAt is null; turn++)
        {
            try
            {
                view = await cluster.Client(turn).WatchMigrationAsync(id, view.Version, stop);
            }
            catch (ApiException error) when (error.HttpStatus is ApiException.Unreachable or >= 500)
            {
                await Task.Delay(AskAgain, stop);
            }
        }

        return view;
    }

    /// <summary>A guest that is lost, or runs without a device, is stopped and started anew if a fault is to blame; if none is, that is a finding.</summary>
    private async Task<bool> ReplacedAsync(ClusterClient client, GuestView view, CancellationToken cancel)
    {
        bool maimed = Watcher.IsMaimed(view);
        if (view.State is not ("lost" or "stopped") && !maimed) return false;
        if (!cluster.Sacrificed.ContainsKey(view.Name))
            watcher.Report(view.Name, new Violation("SomebodyOwns", $"{view.Name} is {(maimed ? "without a device" : view.State)} on {view.Host}, and no fault was meant to do that"));
        if (view.State != "stopped") await client.StopGuestAsync(view.Name, cancel);
        await cluster.StartGuestAsync(view.Name, cancel);
        Interlocked.Increment(ref _replaced);
        return true;
    }
}
