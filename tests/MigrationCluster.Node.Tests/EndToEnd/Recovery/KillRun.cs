using System.Diagnostics;
using MigrationCluster.Api;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Invariants;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>
/// One <see cref="FailpointCase"/> on a fleet whose guest runs on one of two hosts: arms the process, starts the story, waits until the
/// process has killed itself there, starts a daemon again, and once all has come to rest judges from outside.
/// </summary>
internal sealed class KillRun(Fleet fleet, FailpointCase it)
{
    private const string Other = "other";

    private readonly Dictionary<string, Armed> _armed = [];
    private string _source = "";
    private string _destination = "";
    private readonly Dictionary<string, int> _deaths = [];

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
        var ended = await SettledAsync(known);
        await JudgeAsync(ended, observer);
        foreach (string host in _armed.Keys.Where(host => !_deaths.ContainsKey(host))) await fleet.RestartNodeAsync(host, null);
        if (it.Lost || it.Device is not null) await StartAnewAsync();
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
    private int Fired()
    {
        string log = it.IsGuest
            ? fleet.Files(HostOf(it.Where)).PathOf(GuestFiles.Log)
            : fleet.PathOf(HostOf(it.Where) + ".log");
        return File.Exists(log) ? File.ReadAllText(log).Split($"failpoint {it.Point}: {it.Action}").Length - 1 : 0;
    }

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

            var migration = await fleet.MigrateAsync(_destination);
            if (it.Story != Story.Cancelled) return;
            await fleet.UntilPhaseAsync(migration.Id, FleetMigrations.PreCopy);
            await fleet.Client.CancelMigrationAsync(migration.Id, default);
        }
        catch (ApiException) when (fleet.Node(Fleet.Coordinator).HasEnded || it.Where == "coordinator")
        {
            // That is what it was armed for.
        }
    }

    /// <summary>Starts every armed daemon that has died: unarmed, but for one that died before its own turn.</summary>
    private async Task ReviveAsync()
    {
        foreach (string host in _armed.Keys.Where(host => fleet.Node(host).HasEnded))
        {
            _deaths[host] = _deaths.GetValueOrDefault(host) + 1;
            if (DiesTwice && _deaths[host] == 1 && await SurvivesStartAsync(host)) continue;
            await fleet.StartNodeAsync(host, null);
        }
    }

    /// <summary>Armed for what it does first of all, it may be dead before it listens.</summary>
    private async Task<bool> SurvivesStartAsync(string host)
    {
        try
        {
            await fleet.StartNodeAsync(host, new Armed(it.Armed));
            return true;
        }
        catch (InvalidOperationException)
        {
            _deaths[host]++;
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

    private async Task JudgeAsync(MigrationView? ended, FleetObserver observer)
    {
        Outcome = ended is null ? "never begun" : ended.Phase;
        if (it.Lost)
        {
            Assert.Equal("GuestLost", ended!.Phase);
            Assert.Empty(fleet.Files(_source).Leftovers());
            Assert.Empty(fleet.Files(_destination).Leftovers());
            return;
        }

        string owner = ended is { Phase: "Completed" } ? _destination : _source;
        string left = owner == _source ? _destination : _source;
        Assert.Contains(Outcome, (string[])["Completed", "Failed", "Cancelled", "never begun"]);
        if (it.Device is null || owner != HostOf(it.Where)) await fleet.AssertRunsAsync(owner);
        else await AssertRunsWithoutAsync(owner, it.Device);
        // A source is released after the guest runs elsewhere.
        await Eventually.TrueAsync($"{it}: nothing is left on {left}", () => Task.FromResult(fleet.Files(left).Leftovers().Count == 0));
        var rest = await observer.LookAsync();
        Assert.Empty(OwnershipInvariants.CheckHealed(rest!).Concat(OwnershipInvariants.Check(rest!)));
        Assert.Equal(owner, rest!.Row.Owner.Value);
        Assert.Empty(await observer.EndAsync());
        Assert.True(observer.Looks > 0);
        if (it.Story == Story.Starts) await StopOtherAsync();
    }

    /// <summary>The guest works on there, short of the device that died, which is shown in Error.</summary>
    private async Task AssertRunsWithoutAsync(string owner, string device)
    {
        var guest = await fleet.Client.GetGuestAsync(Fleet.Guest, default);
        Assert.Equal((owner, "running"), (guest.Host, guest.State));
        Assert.All(guest.Devices, other => Assert.Equal(other.Name == device ? "Error, isolated" : "Running", other.State));
        Assert.True(await fleet.Client.CheckGuestAsync(Fleet.Guest, default) is { Pages: > 0, Wrong: 0 });
        await fleet.Files(owner).GoesOnAsync();
        Outcome += $" without {device}";
    }

    /// <summary>Whatever became of the start that was broken off: the guest can be stopped, and started.</summary>
    private async Task StopOtherAsync()
    {
        if ((await fleet.Client.ListGuestsAsync(default)).Any(guest => guest.Name == Other))
            await fleet.Client.StopGuestAsync(Other, default);
        await fleet.StartGuestAsync(Fleet.Spec(Other, 32), _destination);
        await fleet.AssertRunsAsync(_destination, Other);
        await fleet.Client.StopGuestAsync(Other, default);
    }

    /// <summary>Once the operator has given it up, its name is free again.</summary>
    private async Task StartAnewAsync()
    {
        await fleet.Client.StopGuestAsync(Fleet.Guest, default);
        await fleet.StartGuestAsync();
    }
}
