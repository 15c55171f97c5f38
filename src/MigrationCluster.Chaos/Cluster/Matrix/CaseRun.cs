using System.Collections.Concurrent;
using System.Diagnostics;
using MigrationCluster.Api;
using MigrationCluster.Chaos.Cluster.Judging;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>
/// One case on a cluster whose guest runs on one of two hosts: arms the processes, has the guest migrated, strikes while they stand still at
/// their places, lets them go on, and once all has come to rest judges from outside.
/// </summary>
internal sealed class CaseRun(ChaosCluster cluster, MatrixCase it)
{
    private const string Guest = "g1";

    /// <summary>A guest that is dirtied faster than this never arrives.</summary>
    private const long TooSlow = 1 << 20;

    private static readonly TimeSpan RestLimit = TimeSpan.FromSeconds(120);
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly List<Stand> _stands = [];
    private readonly ConcurrentQueue<string> _struck = new();
    private readonly ConcurrentQueue<string> _wrong = new();

    /// <summary>Daemons that strikes are at: by how many, for the second may find it while the first still waits for its start.</summary>
    private readonly ConcurrentDictionary<string, int> _held = new();
    private readonly Way _way = it.Way();
    private readonly Losses _losses = new(cluster, Guest, it.Way().Lost);
    private string _source = "";
    private string _destination = "";
    private int _missed;
    private double _undoneAt;

    public async Task<MatrixResult> RunAsync(CancellationToken cancel)
    {
        var watcher = new Watcher(cluster, _clock);
        var migration = new MigrationWatch(cluster, Guest, _clock);
        string outcome;
        try
        {
            await ArmAsync(cancel);
            await migration.BeginAsync(cancel);
            using var watching = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            var watch = watcher.WatchAsync(watching.Token);
            var follow = migration.FollowAsync(watching.Token);
            bool rest = await StrikeAllAsync(migration, cancel);
            outcome = rest ? Outcome(migration) : MatrixResult.Hung;
            if (rest) await JudgeAsync(watcher, migration, cancel);
            else
            {
                _wrong.Enqueue($"no rest {RestLimit.TotalSeconds:F0} s after the last fault: {migration.Last}");
                await JudgeJournalsAsync(migration);
            }

            await watching.CancelAsync();
            await Task.WhenAll(watch, follow);
            if (_stands.Any(stand => stand.Scene.InGuest && !stand.Fired)) cluster.Sacrificed[Guest] = "armed";
        }
        catch (Exception error) when (error is ApiException or IOException or UnauthorizedAccessException)
        {
            outcome = MatrixResult.Hung;
            _wrong.Enqueue($"the case itself: {error.Message}");
        }

        Disarm();
        Wrong(watcher.Findings.Select(finding => $"{finding.Invariant}: {finding.Detail}"));
        outcome = Reached(outcome);
        return new MatrixResult(
            it.ToString(), it.Hits, outcome, migration.Doubted, migration.Maimed, [.. _struck],
            outcome is MatrixResult.Hung or MatrixResult.NotReached or MatrixResult.NothingToStrike ? null : Math.Max(0, migration.RestAt - _undoneAt), _clock.Elapsed.TotalSeconds, [.. _wrong], MatrixRun.Commit);
    }

    /// <summary>Restarts daemons that are to be armed or still are; a source's guest process is armed by being started anew.</summary>
    private async Task ArmAsync(CancellationToken cancel)
    {
        var guest = await NowAsync(cancel);
        _source = guest?.Host ?? cluster.Settings.Hosts[0];
        _destination = cluster.Settings.Hosts.First(host => host != _source);
        if (_way.First is { } first) _stands.Add(new Stand(cluster, SceneOf(first.Process), first.Point, first.Strike));
        if (_way.Armed is (var doomed, var text) && SceneOf(doomed) is { InGuest: true, Host: { } at } && text.EndsWith("=kill", StringComparison.Ordinal)) _losses.NoteWay(at);
        foreach (var hit in it.Hits)
            _stands.Add(new Stand(cluster, SceneOf(hit.Process), hit.Point, scene => new Strike(0, 0, hit.Fault, Fault.Find(hit.Fault).At(scene)!)));
        foreach (string name in cluster.Settings.Daemons) Arm(name, _way.Armed);
        var restarts = cluster.Settings.Daemons.Select(cluster.Daemon).Where(daemon => (daemon.Armed ?? daemon.StartedWith) is not null);
        await Task.WhenAll(restarts.Select(daemon => daemon.RestartAsync(() => Task.CompletedTask)));
        await cluster.UntilJoinedAsync(cancel);
        if (guest is not { State: "running" } || guest.Devices.Any(device => device.State != "Running") || cluster.Sacrificed.TryRemove(Guest, out _)
            || cluster.Daemon(_source).Armed?.Guests is not null)
        {
            if (guest is not null) await cluster.Client().StopGuestAsync(Guest, cancel);
            await cluster.StartGuestAsync(Guest, cancel, _source);
        }

        if (cluster.Files(_destination, Guest) is var left && Directory.Exists(left.Directory)) File.Delete(left.PathOf(GuestFiles.Log));
        foreach (var stand in _stands) stand.Begin();
    }

    /// <summary>A daemon of which everything has fired need not be started again before the next case: what has fired never fires again.</summary>
    private void Disarm()
    {
        foreach (string name in cluster.Settings.Daemons)
        {
            var daemon = cluster.Daemon(name);
            daemon.Armed = null;
            if (daemon.StartedWith is { Guests: null } && _stands.Where(stand => stand.Scene.Daemon == name).All(stand => stand.Fired)
                && (_way.Armed is not { } way || SceneOf(way.Process).Daemon != name)) daemon.Spent();
        }
    }

    /// <returns>null: there is no guest, since an earlier case lost it.</returns>
    private async Task<GuestView?> NowAsync(CancellationToken cancel)
    {
        try
        {
            return await cluster.Client().GetGuestAsync(Guest, cancel);
        }
        catch (ApiException error) when (error.Error.Code == ErrorCodes.GuestUnknown)
        {
            return null;
        }
    }

    /// <summary>Also what a daemon that dies meanwhile is started with again: places that have fired, and its way, are left out then.</summary>
    private void Arm(string daemon, (string Process, string Text)? way)
    {
        string? Join(bool guests) => string.Join(';', _stands.Where(stand => stand.Scene.Daemon == daemon && stand.Scene.InGuest == guests && !stand.Fired)
            .Select(stand => stand.Armed).Concat(way is var (process, text) && SceneOf(process) is { } at && at.Daemon == daemon && at.InGuest == guests ? [text] : []))
            is { Length: > 0 } armed ? armed : null;
        cluster.Daemon(daemon).Armed = Join(false) is var own && Join(true) is var guests && (own ?? guests) is null ? null : new Armed(own, guests);
    }

    private Scene SceneOf(string process) => new(process, cluster.Settings.Coordinators[0], _source, _destination, Guest);

    /// <returns>whether all has come to rest.</returns>
    private async Task<bool> StrikeAllAsync(MigrationWatch migration, CancellationToken cancel)
    {
        var begun = migration.AskAsync(_destination, _way.Hand == Hand.Lifts ? TooSlow : null, _way.Hand, cancel);
        var under = new List<Task>();
        double? idle = null;
        for (; ; await Task.Delay(10, cancel))
        {
            foreach (var stand in _stands)
                if (stand.Poll() is { } strike) under.Add(StrikeAsync(stand, strike, under.Count + 1));
            foreach (var daemon in cluster.Settings.Daemons.Select(cluster.Daemon).Where(daemon => !daemon.Lives && _held.GetValueOrDefault(daemon.Name) == 0))
                under.Add(StartAgainAsync(daemon));

            double now = _clock.Elapsed.TotalSeconds;
            bool done = begun.IsCompleted && under.All(strike => strike.IsCompleted);
            if (!done || migration.RestSeenAfter(Math.Max(_undoneAt, migration.BegunAt)) is false) idle = null;
            else idle ??= now;
            // What has not fired by a second after everything ended is not reached.
            if (idle is { } since && (_stands.All(stand => stand.Fired) || now - since > 1)) return true;
            if (now - Math.Max(_undoneAt, migration.BegunAt) > RestLimit.TotalSeconds && under.All(strike => strike.IsCompleted)) return false;
        }
    }

    private async Task StrikeAsync(Stand stand, Strike drawn, int number)
    {
        var fault = Fault.Find(drawn.Fault);
        bool struck = false;
        int? still = stand.Process;
        void Thaw()
        {
            if (still is { } process && Processes.Lives(process)) Processes.Send(process, Processes.Continue);
        }

        var strike = drawn with
        {
            Number = number,
            Struck = () =>
            {
                struck = true;
                _losses.Note(drawn);
                if (!fault.Freezes || drawn["target"] != stand.Scene.Target) Thaw();
            },
        };
        string target = strike.Parameters.GetValueOrDefault("target", "");
        Arm(stand.Scene.Daemon, null);
        await HoldingAsync(target, () => fault.StrikeAsync(cluster, strike, CancellationToken.None));
        Thaw();
        if (struck) _struck.Enqueue(strike.ToString().Trim());
        else _missed++;
        _undoneAt = _clock.Elapsed.TotalSeconds;
    }

    /// <summary>A daemon that its way has killed; its place may come before it listens.</summary>
    private async Task StartAgainAsync(Daemon daemon)
    {
        Arm(daemon.Name, null);
        await HoldingAsync(daemon.Name, () => daemon.StartAsync());
        _undoneAt = _clock.Elapsed.TotalSeconds;
    }

    private async Task HoldingAsync(string daemon, Func<Task> work)
    {
        int turn = _held.AddOrUpdate(daemon, 1, (_, held) => held + 1);
        try
        {
            await work();
        }
        catch (IOException error)
        {
            // One that is struck again while it starts does not start for the first.
            if (_held[daemon] <= turn) _wrong.Enqueue($"{daemon}: {error.Message}");
        }
        finally
        {
            _held.AddOrUpdate(daemon, 0, (_, held) => held - 1);
        }
    }

    private static string Outcome(MigrationWatch migration) => migration.View?.Outcome switch
    {
        _ when migration.State == "lost" => MatrixResult.Lost,
        null => migration.Refusal is { } code ? $"refused: {code}" : MatrixResult.NeverBegun,
        Outcomes.Completed => MatrixResult.Completed,
        Outcomes.Cancelled => MatrixResult.Cancelled,
        Outcomes.GuestLost => MatrixResult.Lost,
        Outcomes.Refused => "refused",
        _ => MatrixResult.RolledBack,
    };

    /// <summary>Said in place of how a migration ended that nothing struck.</summary>
    private string Reached(string outcome) => outcome == MatrixResult.Hung ? outcome
        : _stands.Any(stand => !stand.Fired) ? MatrixResult.NotReached
        : _missed > 0 && _struck.IsEmpty ? MatrixResult.NothingToStrike : outcome;

    private async Task JudgeAsync(Watcher watcher, MigrationWatch migration, CancellationToken cancel)
    {
        foreach (string name in cluster.Settings.Daemons)
            for (var wait = Stopwatch.StartNew(); !cluster.Daemon(name).Lives && wait.Elapsed < RestLimit;) await Task.Delay(50, cancel);
        await cluster.UntilJoinedAsync(cancel);
        if (migration.State == "lost") Wrong(await _losses.JudgeAsync(watcher));
        else if (migration.Maimed) Wrong(await _losses.JudgeMaimedAsync(watcher, cancel));
        else await RestJudge.JudgeAsync(cluster, watcher, Guest, cancel);
        await JudgeJournalsAsync(migration);
    }

    private async Task JudgeJournalsAsync(MigrationWatch migration)
    {
        if (migration.View is { Id: var id })
            Wrong((await RestJudge.JournalsAsync(cluster, other => other == id)).Select(violation => $"{violation.Invariant}: {violation.Detail}"));
    }

    private void Wrong(IEnumerable<string> what)
    {
        foreach (string one in what) _wrong.Enqueue(one);
    }
}
