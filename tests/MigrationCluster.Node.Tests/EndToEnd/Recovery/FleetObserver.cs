using Dapper;
using Microsoft.Data.Sqlite;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>
/// Looks at a guest again and again, on both hosts and in the coordinator's store, without asking any daemon, and holds what it sees
/// against the invariants.
/// </summary>
/// <remarks>A look takes a moment and the hosts are looked at one after the other, so a guest that moves in between may seem to run on both.
/// What is reported has therefore been seen in three looks that follow each other at once.</remarks>
internal sealed class FleetObserver : IAsyncDisposable
{
    private static readonly VfioUserClientOptions Quick = new() { CommandLimit = TimeSpan.FromSeconds(2), TwinSocket = false };
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);

    private readonly Fleet _fleet;
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<string> _violations = [];
    private readonly Task _loop;

    public FleetObserver(Fleet fleet)
    {
        _fleet = fleet;
        _loop = WatchAsync();
    }

    public int Looks { get; private set; }

    /// <summary>Ends the watch.</summary>
    /// <returns>what was broken.</returns>
    public async Task<IReadOnlyCollection<string>> EndAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        return _violations;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _stop.Dispose();
    }

    /// <returns>null: the store cannot be read just now, or knows no such guest.</returns>
    public async Task<GuestObservation?> LookAsync()
    {
        if (ReadRow() is not { } row) return null;
        var hosts = new List<HostObservation>();
        foreach (string host in (string[])[Fleet.Alpha, Fleet.Beta])
            if (await LookAtAsync(host) is { } seen) hosts.Add(seen);
        return new GuestObservation(row, hosts);
    }

    private async Task WatchAsync()
    {
        GuestObservation? before = null;
        while (!_stop.IsCancellationRequested)
        {
            if (await LookAsync() is { } now)
            {
                Looks++;
                if (before is not null) Report(OwnershipInvariants.CheckStep(before, now));
                var broken = OwnershipInvariants.Check(now).ToHashSet();
                for (int again = 0; again < 2 && broken.Count > 0 && await LookAsync() is { } next; again++)
                    broken.IntersectWith(OwnershipInvariants.Check(next));
                Report(broken);
                before = now;
            }

            await Task.Delay(BetweenLooks, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Report(IEnumerable<Violation> violations)
    {
        foreach (var violation in violations) _violations.Add($"{violation.Invariant}: {violation.Detail}");
    }

    private GuestRow? ReadRow()
    {
        try
        {
            using var db = new SqliteConnection(new SqliteConnectionStringBuilder
            {
                DataSource = _fleet.PathOf(Path.Combine(Fleet.Coordinator, "coordinator.db")),
                Mode = SqliteOpenMode.ReadOnly,
                Pooling = false,
            }.ConnectionString);
            return db.QuerySingleOrDefault<(string Owner, long Epoch, string Decision, string? Attempt, string? Destination)?>(
                "SELECT owner, epoch, decision, attempt, destination FROM guests WHERE guest = @Guest", new { Fleet.Guest }) is { } row
                ? new GuestRow(
                    new GuestName(Fleet.Guest), new HostName(row.Owner), new Epoch((ulong)row.Epoch),
                    Enum.Parse<OwnershipDecision>(row.Decision),
                    row.Attempt is null ? null : new MigrationId(row.Attempt), row.Destination is null ? null : new HostName(row.Destination))
                : null;
        }
        catch (SqliteException)
        {
            return null;
        }
    }

    /// <returns>null: the guest was never there.</returns>
    private async Task<HostObservation?> LookAtAsync(string host)
    {
        var files = _fleet.Files(host);
        if (FenceFile.Read(files.Directory) is not { } fence) return null;
        var devices = new Dictionary<string, DeviceState>();
        DeviceState? machine = null;
        if (Directory.Exists(files.Directory))
            foreach (string socket in Directory.EnumerateFiles(files.Directory, "*.sock"))
                if (await StateAsync(socket) is { } state)
                {
                    if (socket == files.PathOf(GuestFiles.Endpoint(DeviceName.Machine))) machine = state;
                    else devices[Path.GetFileNameWithoutExtension(socket)] = state;
                }

        return new HostObservation(new HostName(host), fence, machine, devices);
    }

    private static async Task<DeviceState?> StateAsync(string socket)
    {
        try
        {
            await using var endpoint = await EndpointClient.ConnectAsync(socket, Quick, default);
            return await endpoint.GetStateAsync(default);
        }
        catch (Exception error) when (error is DeviceRefusedException or DeviceLostException)
        {
            return null;
        }
    }
}
