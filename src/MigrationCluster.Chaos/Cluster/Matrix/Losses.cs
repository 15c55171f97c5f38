using MigrationCluster.Api;
using MigrationCluster.Chaos.Cluster.Faults;
using MigrationCluster.Chaos.Cluster.Judging;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>Whether a guest may be lost after what was killed, by the fence files as they were then (docs/recovery.md).</summary>
/// <param name="meant">the way itself loses it.</param>
internal sealed class Losses(ChaosCluster cluster, string guest, bool meant)
{
    private readonly HashSet<string> _hosts = [];
    private bool _mayLose = meant;

    /// <summary>The way there kills the guest process of a host.</summary>
    public void NoteWay(string host) => _hosts.Add(host);

    /// <summary>To be told of each strike once it has struck: a dead process writes no fence file.</summary>
    public void Note(Strike strike)
    {
        if (!(strike.Fault == KillGuest.FaultName || Fault.Find(strike.Fault).CostsADevice) || strike.Parameters.GetValueOrDefault("host") is not { } host) return;
        _hosts.Add(host);
        // Copies are broken on both hosts.
        _mayLose |= _hosts.Count > 1;
        if (strike.Fault != KillGuest.FaultName) return;
        var own = FenceFile.Read(cluster.Files(host, guest).Directory);
        var peer = cluster.Settings.Hosts.Where(other => other != host)
            .Select(other => FenceFile.Read(cluster.Files(other, guest).Directory)).FirstOrDefault(fence => fence is not null);
        // The owner's death loses it unless its peer holds a complete copy, the owner had not kept the guest, and the row does not say aborted: after that no copy may run.
        bool owner = own is { MayRun: true };
        bool copied = peer?.VerifiedDigest is not null && peer.Fence.Epoch == own?.Fence.Epoch && own is { Kept: false }
            && new Rows(cluster).ReadAsync(guest).GetAwaiter().GetResult() is not { Decision: OwnershipDecision.Aborted };
        _mayLose |= owner && !copied;
    }

    /// <returns>what is wrong with a guest that is lost.</returns>
    public async Task<IReadOnlyList<string>> JudgeAsync(Watcher watcher)
    {
        var wrong = new List<string>();
        if (!_mayLose) wrong.Add($"SomebodyOwns: {guest} is lost, though a complete copy was left");
        if (await watcher.LookAsync(guest) is { } rest)
            wrong.AddRange(rest.Hosts.Where(host => host.Runs).Select(host => $"AtMostOneOwner: {guest} is lost and runs on {host.Host}"));
        return wrong;
    }

    /// <returns>what is wrong with a guest that runs on without a device, besides that.</returns>
    public async Task<IReadOnlyList<string>> JudgeMaimedAsync(Watcher watcher, CancellationToken cancel)
    {
        var wrong = new List<string>();
        if (_hosts.Count == 0) wrong.Add($"SomebodyOwns: {guest} is without a device, and nothing took one from it");
        try
        {
            if (await cluster.Client().CheckGuestAsync(guest, cancel) is { Wrong: not 0 } check)
                wrong.Add($"NoDirtyPageLost: {guest} finds {check.Wrong} of {check.Pages} pages wrong");
        }
        catch (ApiException error)
        {
            wrong.Add($"SomebodyOwns: {guest} does not check itself at the end: {error.Message}");
        }

        if (await watcher.LookAsync(guest) is { } rest)
            wrong.AddRange(OwnershipInvariants.Check(rest).Concat(OwnershipInvariants.CheckHealed(rest)).Select(violation => $"{violation.Invariant}: {violation.Detail}"));
        return wrong;
    }
}
