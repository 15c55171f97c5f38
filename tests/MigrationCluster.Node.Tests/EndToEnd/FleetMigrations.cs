using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Migrations of a fleet's guest: started, held where a test wants them, followed to their end.</summary>
internal static class FleetMigrations
{
    public const string PreCopy = "PreCopy";
    public const string StopAndCopy = "StopAndCopy";

    /// <summary>Far beyond what these guests need, so that a loaded machine switches over too.</summary>
    private const int MaxDowntimeMs = 3000;

    /// <summary>Bytes a second.</summary>
    private const long NextToNothing = 1 << 20;

    /// <summary>What may be sent again: this, or 1 % of what was transferred, whichever is more; and once more what three channels have under way for
    /// every loss after the first. What was acknowledged never is: it is what was under way that comes again.</summary>
    private const long ResentBytes = 64 << 20;
    private const long UnderWayBytes = 3 * (16 << 20);

    /// <param name="to">null: the best of all hosts.</param>
    public static Task<MigrationView> MigrateAsync(
        this Fleet fleet, string? to, string guest = Fleet.Guest, string? acceptUnknownBy = null, int? maxDowntimeMs = null,
        bool verifyFull = false, long? maxBytesPerSecond = null) => fleet.First.MigrateAsync(
            new MigrateRequest(
                guest, to, maxDowntimeMs ?? MaxDowntimeMs, acceptUnknownBy, VerifyFull: verifyFull, MaxBytesPerSecond: maxBytesPerSecond),
            default);

    /// <summary>However often its connections and daemons were lost, hardly anything was sent twice.</summary>
    /// <returns>how many bytes may have been.</returns>
    public static long AssertSentOnce(this MigrationView view)
    {
        var (sent, again, losses) = view.Report is { Bytes: var bytes, Resumed: var resumed }
            ? (bytes.Pages + bytes.DeviceState, bytes.Resent, resumed)
            : (view.Progress.TransferredBytes, view.Progress.ResentBytes, 1);
        long most = Math.Max(sent / 100, ResentBytes) + Math.Max(0, losses - 1) * UnderWayBytes;
        Assert.True(again <= most, $"{again} of {sent} bytes were sent again: {Describe(view)}");
        return most;
    }

    /// <summary>Follows a migration by its long poll.</summary>
    public static async Task<MigrationView> UntilAsync(
        this Fleet fleet, string migration, string what, Func<MigrationView, bool> reached)
    {
        MigrationView? view = null;
        await Eventually.TrueAsync($"{migration} {what}", async () =>
        {
            view = await fleet.Client.WatchMigrationAsync(migration, view?.Version ?? 0, default);
            if (view.EndedAt is not null && !reached(view))
                Assert.Fail($"{migration} ended before it {what}: {Describe(view)}");
            return reached(view);
        });
        return view!;
    }

    public static Task<MigrationView> UntilPhaseAsync(this Fleet fleet, string migration, string phase) =>
        fleet.UntilAsync(migration, $"is in {phase}", view => view.Phase == phase);

    public static Task<MigrationView> UntilEndedAsync(this Fleet fleet, string migration) =>
        fleet.UntilAsync(migration, "has ended", view => view.EndedAt is not null);

    /// <summary>
    /// Starts a migration and holds it in a phase, for at most the 10 s that a frozen device server is waited for, and, in
    /// StopAndCopy, the 10 s after which a paused guest keeps itself:
    /// PreCopy by freezing the destination's gpu0, whose initial bytes then cannot be loaded; StopAndCopy by freezing its
    /// serial0, which gets nothing before its final state. Until the freeze the migration may send next to nothing, however late a busy machine
    /// lets this test see that it is in PreCopy.
    /// </summary>
    public static async Task<MigrationView> HoldAsync(this Fleet fleet, string phase, string to = Fleet.Beta, bool verifyFull = false)
    {
        var migration = await fleet.MigrateAsync(to, verifyFull: verifyFull, maxBytesPerSecond: NextToNothing);
        await fleet.UntilPhaseAsync(migration.Id, PreCopy);
        Signals.Freeze(fleet.Files(to).Server(phase == StopAndCopy ? "serial0" : "gpu0"));
        await fleet.Client.LimitMigrationAsync(migration.Id, new BandwidthRequest(null), default);
        await fleet.UntilAsync(migration.Id, "has sent something", view => view.Progress.TransferredBytes > 0);
        if (phase == StopAndCopy) await fleet.UntilPhaseAsync(migration.Id, StopAndCopy);

        var held = await fleet.Client.GetMigrationAsync(migration.Id, default);
        Assert.Equal(phase, held.Phase);
        return held;
    }

    /// <summary>Follows a migration to its failure and holds it against what a failure owes: it ended from the phase it was
    /// held in, and one of its reasons is <paramref name="host"/>'s and tells of <paramref name="what"/>.</summary>
    public static async Task AssertFailsAsync(this Fleet fleet, MigrationView held, string host, string what)
    {
        var ended = await fleet.UntilEndedAsync(held.Id);
        Assert.True((ended.Phase, ended.Outcome) == ("Failed", Outcomes.Failed), Describe(ended));
        AssertLeft(ended, held.Phase);
        AssertNames(ended, host, what);
    }

    public static void AssertNames(MigrationView ended, string host, string what) => Assert.True(
        ended.Reasons.Any(reason => reason.Message.StartsWith($"{host}: ", StringComparison.Ordinal)
            && reason.Message.Contains(what, StringComparison.Ordinal)),
        $"no reason of {host} tells of {what}: {Describe(ended)}");

    /// <summary>The phase a migration was in before it rolled back.</summary>
    public static void AssertLeft(MigrationView ended, string phase)
    {
        var phases = ended.Phases.Select(entered => entered.Phase).ToList();
        Assert.True(phases.IndexOf("RollingBack") > 0 && phases[phases.IndexOf("RollingBack") - 1] == phase, Describe(ended));
        Assert.NotEmpty(ended.Reasons);
    }

    /// <summary>The guest runs there, with every device, and has lost nothing.</summary>
    public static async Task AssertRunsAsync(this Fleet fleet, string host, string guest = Fleet.Guest)
    {
        var view = await fleet.Client.GetGuestAsync(guest, default);
        Assert.Equal((host, "running", null), (view.Host, view.State, view.Migration));
        Assert.All(view.Devices, device => Assert.Equal("Running", device.State));
        await fleet.AssertCleanAsync(guest);
        await fleet.Files(host, guest).GoesOnAsync();
    }

    /// <summary>The guest's own check of all of its RAM finds nothing wrong, and it has worked.</summary>
    public static async Task<SelfCheckView> AssertCleanAsync(this Fleet fleet, string guest = Fleet.Guest)
    {
        SelfCheckView? check = null;
        await Eventually.TrueAsync($"{guest} has worked", async () =>
        {
            check = await fleet.Client.CheckGuestAsync(guest, default);
            Assert.True(check is { Pages: > 0, Wrong: 0, WorkErrors: 0 }, check.ToString());
            return check is { PageWrites: > 0, Interrupts: > 0 };
        });
        return check!;
    }

    /// <summary>The guest moves, runs there, and leaves nothing behind.</summary>
    /// <param name="search">leave it to the coordinator to find the host.</param>
    public static async Task<MigrationView> AssertMovesAsync(
        this Fleet fleet, string to, bool search = false, string? acceptUnknownBy = null)
    {
        string from = (await fleet.Client.GetGuestAsync(Fleet.Guest, default)).Host;
        var started = await fleet.MigrateAsync(search ? null : to, acceptUnknownBy: acceptUnknownBy);
        var ended = await fleet.UntilEndedAsync(started.Id);
        Assert.True((ended.Phase, ended.Outcome) == ("Completed", Outcomes.Completed), Describe(ended));
        Assert.Empty(ended.Reasons);
        await fleet.AssertRunsAsync(to);
        Assert.Empty(fleet.Files(from).Leftovers());
        return ended;
    }

    public static string Describe(MigrationView view) =>
        $"{view.Id} {view.Phase} ({view.Outcome}) after {string.Join(", ", view.Phases.Select(entered => entered.Phase))}; " +
        string.Join("; ", view.Reasons.Select(reason => $"{reason.Code}: {reason.Message}"));
}
