using System.Diagnostics;
using MigrationCluster.Api;
using MigrationCluster.Chaos.Cluster.Judging;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>The operator of a case: asks for one migration, does what its way wants of him, and looks until everything has come to rest.</summary>
internal sealed class MigrationWatch(ChaosCluster cluster, string guest, Stopwatch clock)
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(2);

    /// <summary>Far more than what earlier cases have taught the cluster that a blackout takes: else it gives up before the place is reached.</summary>
    private const int MaxDowntimeMs = 60_000;

    private HashSet<string> _known = [];
    private Hand _hand;
    private double _lookFrom = -1;
    private bool _rests;

    /// <summary>The case's migration; null: there has come to be none.</summary>
    public MigrationView? View { get; private set; }

    /// <summary>Of the guest, as last seen.</summary>
    public string State { get; private set; } = "";

    /// <summary>The guest runs without a device.</summary>
    public bool Maimed { get; private set; }

    public bool Doubted { get; private set; }

    /// <summary>Code of the refusal to begin; null: none.</summary>
    public string? Refusal { get; private set; }

    /// <summary>When the request for the migration was answered, or broke.</summary>
    public double BegunAt { get; private set; }

    /// <summary>When everything was first seen at rest, without an end to it since.</summary>
    public double RestAt { get; private set; }

    /// <summary>What was seen last, for a case that comes to no rest.</summary>
    public string Last { get; private set; } = "nothing was seen";

    public async Task BeginAsync(CancellationToken cancel) =>
        _known = [.. (await cluster.Client().ListMigrationsAsync(cancel)).Select(view => view.Id)];

    public async Task AskAsync(string destination, long? maxBytesPerSecond, Hand hand, CancellationToken cancel)
    {
        _hand = hand;
        try
        {
            await cluster.Client().MigrateAsync(new MigrateRequest(guest, destination, MaxDowntimeMs, MaxBytesPerSecond: maxBytesPerSecond), cancel);
        }
        catch (ApiException error)
        {
            // A coordinator that dies while it is asked says nothing: then the list tells whether there is a migration.
            if (error.HttpStatus != ApiException.Unreachable) Refusal = error.Error.Code;
        }

        BegunAt = clock.Elapsed.TotalSeconds;
    }

    /// <summary>Whether a look that began after <paramref name="at"/> found everything at rest.</summary>
    public bool RestSeenAfter(double at) => _rests && _lookFrom > at;

    public async Task FollowAsync(CancellationToken stop)
    {
        for (int turn = 0; !stop.IsCancellationRequested; turn++, await Task.Delay(BetweenLooks, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing))
        {
            double from = clock.Elapsed.TotalSeconds;
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(AnswerLimit);
            try
            {
                // The list has all that this cluster has ever done: it is asked for as long as the case's own is not known.
                View = View is { Id: var id } ? await cluster.Client(turn).GetMigrationAsync(id, limit.Token)
                    : (await cluster.Client(turn).ListMigrationsAsync(limit.Token)).FirstOrDefault(view => !_known.Contains(view.Id));
                Doubted |= View?.Outcome == Outcomes.InDoubt;
                var now = await cluster.Client(turn).GetGuestAsync(guest, limit.Token);
                (State, Maimed) = (now.State, Watcher.IsMaimed(now));
                Last = $"{now.State} on {now.Host}, migration {now.Migration ?? "none"}, {View?.Id} in {View?.Phase}: {string.Join("; ", View?.Reasons.Select(reason => reason.Message) ?? [])}";
                await ActAsync(limit.Token);
                See(View is null or { EndedAt: not null } && now.Migration is null && now.State is "running" or "lost", from);
            }
            catch (Exception error) when (error is ApiException or OperationCanceledException)
            {
                See(false, from);
            }
        }
    }

    private void See(bool rests, double from)
    {
        if (rests && (!_rests || _lookFrom < 0)) RestAt = clock.Elapsed.TotalSeconds;
        (_rests, _lookFrom) = (rests, from);
    }

    /// <summary>Until somebody has taken it down.</summary>
    private async Task ActAsync(CancellationToken cancel)
    {
        if (_hand == Hand.None || View is not { Phase: "PreCopy" } view) return;
        if (_hand == Hand.Cancels) await cluster.Client().CancelMigrationAsync(view.Id, cancel);
        else await cluster.Client().LimitMigrationAsync(view.Id, new BandwidthRequest(null), cancel);
        _hand = Hand.None;
    }
}
