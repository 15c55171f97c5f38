using System.Diagnostics;
using Dapper;
using Microsoft.Data.Sqlite;
using MigrationCluster.Api;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>
/// One <see cref="FailpointCase"/> on a fleet whose guest runs on one of two hosts: arms the process, starts the story, waits until the
/// process has killed itself there, starts a daemon again, and once all has come to rest judges from outside.
/// </summary>
internal sealed class KillRun(Fleet fleet, FailpointCase it)
{
    internal const string Other = "other";

    /// <summary>Where a process stands still until the test has done what a story wants.</summary>
    private const string Opened = "source:after:TransferOpened=stop";
    private const string Permitted = "fence:after:Permit=stop";

    /// <summary>No pass is followed by a downtime as short as this: what the blackout costs besides bytes is more.</summary>
    private const int Unreachable = 50;

    /// <summary>A guest that is dirtied faster than this never arrives.</summary>
    private const long TooSlow = 1 << 20;

    private readonly Dictionary<string, Armed> _armed = [];
    private string _source = "";
    private string _destination = "";
    private readonly Dictionary<string, int> _deaths = [];
    private int _stopped;
    private Task _asking = Task.CompletedTask;

    /// <summary>It must have died once for its failpoint to be reached.</summary>
    private bool DiesTwice => it is { Story: Story.TakenOver, Where: "coordinator" };

    public string Outcome { get; private set; } = "";

    public async Task RunAsync()
    {
        _source = (await fleet.Client.GetGuestAsync(Fleet.Guest, default)).Host;
        _destination = _source == Fleet.Alpha ? Fleet.Beta : Fleet.Alpha;
        var known = (await fleet.Client.ListMigrationsAsync(default)).Select(view => view.Id).ToHashSet();
        await fleet.AssertCleanAsync();
        await ArmAsync();
        int fired = Fired();

        await using var observer = new FleetObserver(fleet);
        await BeginAsync();
        await InterfereAsync();
        await Eventually.TrueAsync($"{it} fires", async () =>
        {
            await ReviveAsync();
            return Fired() > fired && (it.IsGuest || _deaths.GetValueOrDefault(HostOf(it.Where)) == (DiesTwice ? 2 : 1));
        });
        if (it.Device is { } device)
        {
            Signals.KillNow(fleet.Files(HostOf(it.Where)).Server(device));
            Signals.Thaw(fleet.Files(HostOf(it.Where)).ProcessId);
        }

        await fleet.UntilJoinedAsync();
        await _asking;
        var ended = await SettledAsync(known);
        Outcome = await new KillVerdict(fleet, it, _source, _destination).JudgeAsync(ended, observer);
        foreach (string host in _armed.Keys.Where(host => !_deaths.ContainsKey(host))) await fleet.RestartNodeAsync(host, null);
        if (it.Lost || it.Without is not null) await StartAnewAsync();
    }

    /// <summary>Restarts the nodes that are to be armed; a source's guest process is armed by being started anew.</summary>
    private async Task ArmAsync()
    {
        Arm(it.Where, it.Armed);
        var (where, armed) = it.Story switch
        {
            Story.RollsBack => ("destination", "destination:effect:VoteVerified=fail"),
            Story.SourceFails => ("source", "source:effect:SendFinal=fail"),
            Story.Cancelled => ("source", "source:after:DeviceStateReached=delay:1500"),
            Story.TakenOver => ("coordinator", "coordinator:after:SetupAccepted=kill"),
            Story.SourceGuestDies => ("source-guest", "fence:before:Yielded=kill"),
            Story.NeverRan => ("destination-guest", "fence:before:Permit=kill"),
            Story.MayHaveRun => ("destination-guest", "fence:after:Permit=kill"),
            Story.ReleaseOverdue => ("source", "source:effect:Release=delay:11000"),
            Story.Deadline => ("source", "source:before:MachinePaused=delay:12000"),
            Story.Interrupted => ("source", Opened),
            Story.SourceDeviceDies => ("source", Opened),
            Story.DestinationDeviceDies => ("destination-guest", Permitted),
            _ => ("", ""),
        };
        if (where.Length > 0) Arm(where, armed);
        foreach (var (host, failpoints) in _armed) await fleet.RestartNodeAsync(host, failpoints);
        await fleet.UntilJoinedAsync();
        if (Directory.Exists(fleet.Files(_destination).Directory)) File.Delete(fleet.Files(_destination).PathOf(GuestFiles.Log));
        if (!_armed.TryGetValue(_source, out var source) || source.Guests is null) return;
        await fleet.Client.StopGuestAsync(Fleet.Guest, default);
        await fleet.StartGuestAsync(host: _source);
    }

    private void Arm(string where, string armed)
    {
        string host = HostOf(where);
        var before = _armed.GetValueOrDefault(host, new Armed());
        _armed[host] = where.EndsWith("-guest", StringComparison.Ordinal)
            ? before with { Guests = Both(before.Guests, armed) }
            : before with { Daemon = Both(before.Daemon, armed) };
    }

    private static string Both(string? one, string other) => one is null ? other : $"{one};{other}";

    private string HostOf(string where) => where switch
    {
        "coordinator" => Fleet.Coordinator,
        "source" or "source-guest" => _source,
        _ => _destination,
    };

    /// <summary>How often the case's failpoint has said that it fires.</summary>
    private int Fired() => Fired(it.IsGuest ? GuestLog(HostOf(it.Where)) : DaemonLog(HostOf(it.Where)), $"{it.Point}={it.Action}");

    private static int Fired(string log, string armed) =>
        File.Exists(log) ? File.ReadAllText(log).Split($"failpoint {armed.Replace("=", ": ", StringComparison.Ordinal)}").Length - 1 : 0;

    private string DaemonLog(string host) => fleet.PathOf(host + ".log");

    private string GuestLog(string host) => fleet.Files(host).PathOf(GuestFiles.Log);

    /// <summary>The coordinator may die while it is asked.</summary>
    private async Task BeginAsync()
    {
        try
        {
            if (it.Story == Story.Starts)
            {
                await fleet.StartGuestAsync(Fleet.Spec(Other, 32), _destination);
                return;
            }

            _stopped = Fired(DaemonLog(_source), Opened);
            var migration = await fleet.MigrateAsync(
                _destination, maxDowntimeMs: it.Story == Story.NeverFits ? Unreachable : null,
                maxBytesPerSecond: it.Story == Story.Limited ? TooSlow : null);
            if (it.Story is not (Story.Cancelled or Story.Limited)) return;
            await fleet.UntilPhaseAsync(migration.Id, FleetMigrations.PreCopy);
            if (it.Story == Story.Cancelled) await fleet.Client.CancelMigrationAsync(migration.Id, default);
            else _asking = LiftAsync(migration.Id);
        }
        catch (ApiException) when (fleet.Node(Fleet.Coordinator).HasEnded || it.Where == "coordinator")
        {
            // That is what it was armed for.
        }
    }

    /// <summary>As an operator would: until somebody has taken it down.</summary>
    private Task LiftAsync(string migration) => Eventually.TrueAsync("the limit is lifted", async () =>
    {
        try
        {
            await fleet.Client.LimitMigrationAsync(migration, new BandwidthRequest(null), default);
            return true;
        }
        catch (ApiException error) when (error.HttpStatus is ApiException.Unreachable or 503)
        {
            return false;
        }
    });

    /// <summary>What else the story wants to go wrong, while the process that it would disturb stands still.</summary>
    private async Task InterfereAsync()
    {
        var (source, destination) = (fleet.Node(_source).Id, fleet.Files(_destination));
        switch (it.Story)
        {
            case Story.Interrupted:
                await UntilStoppedAsync(DaemonLog(_source), Opened, _stopped);
                await fleet.Node(_destination).KillAsync();
                Signals.Thaw(source);
                await Eventually.TrueAsync("the source has lost its connections", () => Task.FromResult(
                    fleet.Node(_source).HasEnded || fleet.Node(Fleet.Coordinator).HasEnded || HasLost(_source)));
                if (!await SurvivesStartAsync(_destination, _armed.GetValueOrDefault(_destination), joins: false))
                    await fleet.StartNodeAsync(_destination);
                break;
            case Story.SourceDeviceDies:
                await UntilStoppedAsync(DaemonLog(_source), Opened, _stopped);
                Signals.KillNow(fleet.Files(_source).Server(it.Without!));
                Signals.Thaw(source);
                break;
            case Story.DestinationDeviceDies:
                await UntilStoppedAsync(GuestLog(_destination), Permitted, 0);
                Signals.KillNow(destination.Server(it.Without!));
                Signals.Thaw(destination.ProcessId);
                break;
        }
    }

    private static Task UntilStoppedAsync(string log, string armed, int before) =>
        Eventually.TrueAsync($"{armed} fires", () => Task.FromResult(Fired(log, armed) > before));

    /// <summary>Whether the agent's journal there says so of the newest migration.</summary>
    private bool HasLost(string host)
    {
        using var db = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = fleet.PathOf(Path.Combine(host, "agent.db")),
            Mode = SqliteOpenMode.ReadOnly,
            Pooling = false,
        }.ConnectionString);
        return db.ExecuteScalar<bool>("""
            SELECT EXISTS (SELECT 1 FROM events WHERE body LIKE '%"transfer-lost"%'
                AND migration = (SELECT migration FROM events ORDER BY number DESC LIMIT 1))
            """);
    }

    /// <summary>Starts every armed daemon that has died: unarmed, but for one that died before its own turn.</summary>
    private async Task ReviveAsync()
    {
        foreach (string host in _armed.Keys.Where(host => fleet.Node(host).HasEnded))
        {
            _deaths[host] = _deaths.GetValueOrDefault(host) + 1;
            if (DiesTwice && _deaths[host] == 1 && await SurvivesStartAsync(host, new Armed(it.Armed))) continue;
            await fleet.StartNodeAsync(host, null);
        }
    }

    /// <summary>Armed for what it does first of all, it may be dead before it listens.</summary>
    private async Task<bool> SurvivesStartAsync(string host, Armed? armed, bool joins = true)
    {
        try
        {
            await fleet.StartNodeAsync(host, armed, joins);
            return true;
        }
        catch (InvalidOperationException)
        {
            _deaths[host] = _deaths.GetValueOrDefault(host) + 1;
            return false;
        }
    }

    /// <returns>the migration; null: it never came to be one.</returns>
    private async Task<MigrationView?> SettledAsync(HashSet<string> known)
    {
        MigrationView? mine = null;
        string last = "";
        var watch = Stopwatch.StartNew();
        await Eventually.TrueAsync($"{it}: all has come to rest", async () =>
        {
            try
            {
                var all = await fleet.Client.ListMigrationsAsync(default);
                mine = all.SingleOrDefault(view => !known.Contains(view.Id));
                var guest = await fleet.Client.GetGuestAsync(Fleet.Guest, default);
                last = $"{guest.State} on {guest.Host}, migration {guest.Migration}; {(mine is null ? "none" : FleetMigrations.Describe(mine))}";
                if (watch.Elapsed > TimeSpan.FromSeconds(60)) Assert.Fail($"{it}: no rest after {watch.Elapsed}: {last}");
                return all.All(view => view.EndedAt is not null) && guest.Migration is null
                    && guest.State == (it.Lost ? "lost" : "running");
            }
            catch (ApiException)
            {
                return false;
            }
        });
        return mine;
    }

    /// <summary>Once the operator has given it up, its name is free again.</summary>
    private async Task StartAnewAsync()
    {
        await fleet.Client.StopGuestAsync(Fleet.Guest, default);
        foreach (string host in (string[])[_source, _destination]) Assert.Empty(fleet.Files(host).Leftovers());
        await fleet.StartGuestAsync();
    }
}
