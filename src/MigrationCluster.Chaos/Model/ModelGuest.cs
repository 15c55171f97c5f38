using System.Collections.Immutable;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Model;

/// <summary>
/// A guest process reduced to what ownership depends on: its fence file, its devices' states and what its copy elsewhere
/// lacks. The rules it refuses by are Protocol's own, as mc-guest applies them.
/// </summary>
/// <param name="Fence">the fence file; outlives the process.</param>
/// <param name="Devices">by name, with the machine; empty when the process is dead.</param>
/// <param name="OwedTo">the attempt whose destination <paramref name="Debt"/> is counted for: each has a process of its own.</param>
/// <param name="HasDeadline">it was told how long it may be paused; nobody tells an incoming one.</param>
internal sealed record ModelGuest(
    HostName Host, FenceRecord Fence, bool Alive, ImmutableSortedDictionary<string, PlannedDevice> Devices, Debt Debt,
    bool HasDeadline = false, Epoch? OwedTo = null)
{
    public PlannedDevice Machine => Devices[DeviceName.Machine.Value];

    /// <summary>All devices but the machine; none when the process is dead.</summary>
    public IEnumerable<PlannedDevice> Members => Devices.Values.Where(device => device.Name != DeviceName.Machine);

    public bool MachineRuns => Alive && Machine.State == DeviceState.Running;

    /// <summary>Starts a process over the fence record that its launch was allowed.</summary>
    public static ModelGuest Launch(HostName host, FenceRecord fence, ImmutableArray<PlannedDevice> shape)
    {
        var fresh = shape.ToImmutableSortedDictionary(device => device.Name.Value, device => device);
        var guest = new ModelGuest(host, fence, true, fresh, Debt.None);
        // An incoming machine waits in Stop; an owner's whole RAM is what another host lacks.
        return fence.Role == GuestRole.Incoming
            ? guest.With(DeviceName.Machine, DeviceState.Stop)
            : guest with { Debt = Debt.Known };
    }

    public ModelGuest Die() =>
        this with { Alive = false, Devices = ImmutableSortedDictionary<string, PlannedDevice>.Empty, HasDeadline = false };

    /// <returns>null: a newer fence is bound already.</returns>
    public ModelGuest? Bind(Fence fence) => Fence.TryRaise(fence) is { } raised ? this with { Fence = raised } : null;

    public (ModelGuest Guest, string? Refusal) Cast(Vote vote, string? digest = null)
    {
        if (vote == Vote.Yielded && MachineRuns) return (this, "a running machine cannot be yielded: pause it first");
        if (vote == Vote.Yielded && Members.Any(member => FencedArc.IsRunning(member.State)))
            return (this, "a device still runs: stop it first");
        if (vote == Vote.Verified && Devices.Values.Any(device => device.State != DeviceState.Stop))
            return (this, "not everything is loaded and in Stop");
        var (record, refusal) = Fence.TryCast(vote, digest);
        return (record is null ? this : this with { Fence = record }, refusal);
    }

    public (ModelGuest Guest, string? Refusal) Move(DeviceName device, DeviceState target)
    {
        var current = Devices[device.Value];
        if (current.State == target) return (this, null);
        if (DeviceArcs.Next(current.State, target, current.Capabilities) != target)
            return (this, $"no arc {current.State} to {target}");
        if (FencedArc.Refusal(Fence, device.Value, current.State, target) is { } refusal) return (this, refusal);
        bool machine = device == DeviceName.Machine;
        if (machine && target == DeviceState.Running && Members.Any(WaitedFor))
            return (this, "the machine waits for a device that is stopped");
        if (machine && target == DeviceState.StopCopy && Members.Any(member => FencedArc.IsRunning(member.State)))
            return (this, "the machine's registers are read after the last device has stopped");
        return (With(device, target), null);
    }

    private static bool WaitedFor(PlannedDevice member) =>
        member.Standing != MemberStanding.Isolated && FencedArc.IsStopped(member.State);

    /// <summary>No P2P edge of a device is mapped any more, and the machine does not wait for it.</summary>
    public ModelGuest Isolate(DeviceName device) => this with
    {
        Devices = Devices.SetItem(device.Value, Devices[device.Value] with { Standing = MemberStanding.Isolated }),
    };

    /// <summary>A device fails for good.</summary>
    public ModelGuest Break(DeviceName device) => device == DeviceName.Machine ? this : With(device, DeviceState.Error);

    /// <summary>A device whose server has died under the process; null: none has.</summary>
    public DeviceName? DeadDevice => Members.FirstOrDefault(member => member.State == DeviceState.Error)?.Name;

    /// <summary>Whether its pause deadline may pass: an owner that is paused and has not yielded.</summary>
    public bool WaitsForItsDeadline => Alive && HasDeadline && Fence.MayRun && !MachineRuns;

    /// <summary>The pause deadline passed: the guest keeps itself, with no daemon at all.</summary>
    public ModelGuest KeepItself() => Cast(Vote.Kept) is (var kept, null) ? kept.RunAll() : this;

    /// <summary>Every device but a broken one runs again, and the machine.</summary>
    public ModelGuest RunAll() => Devices.Values
        .Where(device => device.State != DeviceState.Error)
        .Aggregate(this, (guest, device) => guest.With(device.Name, DeviceState.Running));

    public ModelGuest With(DeviceName device, DeviceState state)
    {
        bool dirties = device == DeviceName.Machine && state == DeviceState.Running && Debt == Debt.None;
        return this with
        {
            Devices = Devices.SetItem(device.Value, Devices[device.Value] with { State = state }),
            Debt = dirties && Fence.Role == GuestRole.Owner ? Debt.Known : Debt,
        };
    }

    public HostObservation Observe() => new(
        Host, Fence, Alive ? Machine.State : null,
        Members.ToDictionary(device => device.Name.Value, device => device.State));
}
