using System.Diagnostics;
using MigrationCluster.Api;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Cluster.Judging;

/// <summary>
/// Looks at every guest again and again, on every host and in the store, without asking any daemon, and holds what it sees against the
/// invariants of ownership.
/// </summary>
/// <remarks>A look takes a moment and the hosts are looked at one after the other, so a guest that moves in between may seem to run on both.
/// What is reported has therefore been seen in three looks that follow each other at once.</remarks>
internal sealed class Watcher(ChaosCluster cluster, Stopwatch clock)
{
    private static readonly VfioUserClientOptions Quick = new() { CommandLimit = TimeSpan.FromSeconds(1), TwinSocket = false };
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(100);
    private readonly Rows _rows = new(cluster);
    private readonly Lock _sync = new();
    private readonly List<Finding> _findings = [];
    private readonly List<Ownership> _owned = [];
    private long _looks;
    private int _checks;

    public long Looks => Volatile.Read(ref _looks);

    /// <summary>Self-checks of guests that were answered.</summary>
    public int Checks => Volatile.Read(ref _checks);

    public IReadOnlyList<Finding> Findings
    {
        get { lock (_sync) return [.. _findings]; }
    }

    /// <summary>Where each guest was seen to run from when on; host null: nowhere.</summary>
    public IReadOnlyList<Ownership> Owned
    {
        get { lock (_sync) return [.. _owned]; }
    }

    public Task WatchAsync(CancellationToken stop) => Task.WhenAll(cluster.Settings.GuestNames.Select(guest => WatchAsync(guest, stop)));

    public void Report(string guest, Violation violation)
    {
        lock (_sync)
            if (!_findings.Any(known => known.Invariant == violation.Invariant && known.Detail == violation.Detail))
                _findings.Add(new Finding(clock.Elapsed.TotalSeconds, guest, violation.Invariant, violation.Detail));
    }

    /// <summary>The guest's own account of itself, which is what counts of its memory. Where a fault has taken a device from it, the others' work with
    /// that one fails.</summary>
    public async Task CheckAsync(string guest, int turn, CancellationToken cancel)
    {
        var client = cluster.Client(turn);
        var check = await client.CheckGuestAsync(guest, cancel);
        Interlocked.Increment(ref _checks);
        bool works = check.WorkErrors == 0
            || (cluster.Sacrificed.ContainsKey(guest) && IsMaimed(await client.GetGuestAsync(guest, cancel)));
        if (check.Wrong != 0 || !works || check.Pages == 0)
            Report(guest, new Violation("NoDirtyPageLost", $"{guest} finds {check.Wrong} of {check.Pages} pages wrong, {check.WorkErrors} errors at work"));
    }

    /// <summary>It runs without a device: one in Error, or left behind, which nothing reaches any more as long as the guest lives.</summary>
    public static bool IsMaimed(GuestView guest) => guest.State == "running" && guest.Devices.Any(device =>
        device.State.StartsWith("Error", StringComparison.Ordinal) || device.State.EndsWith(", isolated", StringComparison.Ordinal));

    /// <returns>null: the store cannot be read just now, or knows no such guest.</returns>
    public async Task<GuestObservation?> LookAsync(string guest)
    {
        if (await _rows.ReadAsync(guest) is not { } row) return null;
        var hosts = new List<HostObservation>();
        foreach (string host in cluster.Settings.Hosts)
            if (await LookAtAsync(host, guest) is { } seen) hosts.Add(seen);
        return new GuestObservation(row, hosts);
    }

    private async Task WatchAsync(string guest, CancellationToken stop)
    {
        GuestObservation? before = null;
        while (!stop.IsCancellationRequested)
        {
            if (await LookAsync(guest) is { } now)
            {
                Interlocked.Increment(ref _looks);
                Note(guest, now);
                if (before is not null)
                    foreach (var step in OwnershipInvariants.CheckStep(before, now)) Report(guest, step);
                var broken = OwnershipInvariants.Check(now).ToHashSet();
                for (int again = 0; again < 2 && broken.Count > 0 && await LookAsync(guest) is { } next; again++)
                    broken.IntersectWith(OwnershipInvariants.Check(next));
                foreach (var violation in broken) Report(guest, violation);
                before = now;
            }

            await Task.Delay(BetweenLooks, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Note(string guest, GuestObservation now)
    {
        string? host = now.Hosts.FirstOrDefault(host => host.Runs)?.Host.Value;
        lock (_sync)
            if (_owned.LastOrDefault(last => last.Guest == guest) is not { } last || last.Host != host)
                _owned.Add(new Ownership(clock.Elapsed.TotalSeconds, guest, host));
    }

    /// <returns>null: the guest was never there, or its file is just being replaced by a process that died over it.</returns>
    private async Task<HostObservation?> LookAtAsync(string host, string guest)
    {
        var files = cluster.Files(host, guest);
        if (FenceFile.Read(files.Directory) is not { } fence) return null;
        var devices = new Dictionary<string, DeviceState>();
        DeviceState? machine = null;
        // Side by side: a process that stands still answers none of them, and each would cost its time.
        string[] sockets = Directory.Exists(files.Directory) ? [.. Directory.EnumerateFiles(files.Directory, "*.sock")] : [];
        foreach (var (socket, asked) in sockets.Zip(await Task.WhenAll(sockets.Select(StateAsync))))
            if (asked is { } state)
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

/// <param name="At">seconds since the run's start.</param>
internal sealed record Ownership(double At, string Guest, string? Host);

/// <summary>A broken invariant.</summary>
internal sealed record Finding(double At, string Guest, string Invariant, string Detail);
