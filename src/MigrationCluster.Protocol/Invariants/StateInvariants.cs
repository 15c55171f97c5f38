using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Invariants;

/// <summary>AllowedInState: nothing is done to a device, or by it, that its state forbids on its back end.</summary>
public static class StateInvariants
{
    public static IEnumerable<Violation> Check(BackEnd backEnd, IEnumerable<ObservedAction> actions) =>
        from observed in actions
        let refusal = AllowedActions.Refusal(backEnd, observed.Device, observed.State, observed.Action)
        where refusal is not null
        select new Violation("AllowedInState", refusal);
}

/// <summary>One thing that was done.</summary>
/// <param name="State">the device's, when it was done.</param>
public readonly record struct ObservedAction(string Device, DeviceState State, DeviceAction Action);
