using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>The guest processes of the fleet, which live and die without any daemon, and count how long they have been paused.</summary>
internal sealed class GuestProcesses(VirtualTime time, Surroundings surroundings, Observer observer)
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(250);

    private readonly Dictionary<(HostName Host, GuestName Guest), ModelGuest> _processes = [];
    private readonly Dictionary<(HostName Host, GuestName Guest), int> _pauses = [];

    /// <returns>null: none was ever launched there.</returns>
    public ModelGuest? Find(HostName host, GuestName guest) => _processes.GetValueOrDefault((host, guest));

    public IReadOnlyList<ModelGuest> On(HostName host) =>
        [.. _processes.Where(pair => pair.Key.Host == host).Select(pair => pair.Value)];

    public void Set(GuestName guest, ModelGuest? next)
    {
        if (next is null || Find(next.Host, guest) is var before && before == next) return;
        _processes[(next.Host, guest)] = next;
        observer.OnGuest(before, next);
        if (before is { Alive: true, MachineRuns: true } && next is { Alive: true, MachineRuns: false }) CountPause(next.Host, guest);
        if (next.MachineRuns) _pauses.Remove((next.Host, guest));
    }

    /// <summary>Ends when no process of the guest lives there, and the daemon has noticed.</summary>
    public async Task WatchDeathAsync(HostName host, GuestName guest, TimeProvider clock, CancellationToken cancellationToken)
    {
        while (Find(host, guest) is { Alive: true }) await Task.Delay(BetweenLooks, clock, cancellationToken);
    }

    private void CountPause(HostName host, GuestName guest)
    {
        int pause = _pauses[(host, guest)] = (int)time.Events;
        time.After(CoordinatorMachine.PauseDeadline, () =>
        {
            if (_pauses.GetValueOrDefault((host, guest)) != pause || Find(host, guest) is not { } paused) return;
            if (!surroundings.DeadlineMayPass(paused)) return;
            observer.Say($"the pause deadline passes for {guest} on {host}");
            Set(guest, surroundings.KeepItself(paused));
        });
    }
}
