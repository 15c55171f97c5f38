using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Convergence;

/// <summary>
/// What earlier blackouts between two hosts cost, step by step. A plan holds it, so that what was predicted can be told from what was
/// known then. Times are ms.
/// </summary>
/// <param name="SwitchDelay">from the last reading of the dirty logs until the machine is paused: the guest writes on.</param>
/// <param name="Bitmap">the last reading of the dirty logs.</param>
/// <param name="Pages">of sending the final pages, what their bytes do not explain.</param>
/// <param name="Load">from the last device that was loaded, or the last byte that left, until the destination had agreed to the manifest.</param>
/// <param name="Verify">until the destination's vote was durable and heard.</param>
/// <param name="Yield">the same of the source's.</param>
/// <param name="Commit">the row swapped, and its decision read.</param>
/// <param name="Resume">the permit durable, devices and machine running.</param>
/// <param name="Devices">by model.</param>
/// <param name="BytesPerSecond">pages and device state with no limit of an operator; a median of 0: not known.</param>
/// <param name="FirstTouchSecondsPerByte">more, of pages that the destination has never written.</param>
/// <param name="BlackoutSpeed">at which final pages go, to how fast passes went while the guest ran.</param>
/// <param name="Errors">how predictions differed from what happened.</param>
/// <param name="Count">blackouts that all this was learned from.</param>
/// <param name="Preparation">from the order to migrate until pre-copy begins.</param>
public sealed record LearnedCosts(
    Cost SwitchDelay, Cost Bitmap, Cost Pages, Cost Load, Cost Verify, Cost Yield, Cost Commit, Cost Resume,
    IReadOnlyList<DeviceCost> Devices, Cost BytesPerSecond, double FirstTouchSecondsPerByte, double BlackoutSpeed, ErrorQuantiles Errors, int Count,
    Cost Preparation = default)
{
    /// <summary>Before anything was learned: native programs on two cores, disks that take a ms to sync; all of it may well be twice that.</summary>
    public static readonly LearnedCosts Assumed = new(
        SwitchDelay: new(10, 10), Bitmap: new(3, 3), Pages: new(4, 6), Load: new(6, 8), Verify: new(8, 10), Yield: new(8, 10),
        Commit: new(5, 6), Resume: new(15, 20), Devices: [], BytesPerSecond: default, FirstTouchSecondsPerByte: 0.25e-9,
        BlackoutSpeed: 1, ErrorQuantiles.Assumed, 0, new(500, 300));

    public DeviceCost OfModel(string model) => Devices.FirstOrDefault(device => device.Model == model) ?? DeviceCost.Assumed(model);
}

/// <summary>One device model in blackouts.</summary>
/// <param name="Quiesce">until it was P2P-quiet.</param>
/// <param name="Stop">until it had stopped.</param>
/// <param name="InitialBytes">that it sends in the first pass; 0 without PRE_COPY.</param>
/// <param name="FinalBytes">of its final state beyond what counted as dirty before.</param>
/// <param name="Final">ms until its final state had left that its bytes do not explain.</param>
/// <param name="Load">from then on until the destination's device had accepted all of it.</param>
/// <param name="BytesPerSecond">at which it saves, or the destination's loads, whichever is slower; 0: not known, the link's.</param>
public sealed record DeviceCost(string Model, Cost Quiesce, Cost Stop, Cost InitialBytes, Cost FinalBytes, Cost Final, Cost Load, double BytesPerSecond)
{
    /// <summary>The machine is paused before all devices: it has no states to go through then.</summary>
    public static DeviceCost Assumed(string model) => model == DeviceName.Machine.Value
        ? new(model, default, default, default, new(16 << 10, 16 << 10), new(5, 4), new(3, 3), 0)
        : new(model, new(3, 3), new(5, 8), default, new(16 << 10, 16 << 10), new(5, 4), new(3, 3), 0);
}

/// <summary>How far off predictions were, in their own standard deviations: what happened less what was predicted, by the deviation.</summary>
public readonly record struct ErrorQuantiles(double P50, double P95, double P99, int Count)
{
    public static readonly ErrorQuantiles Assumed = new(0, 2, 3.2, 0);
}
