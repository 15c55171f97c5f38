using static MigrationCluster.Protocol.Vfio.DeviceState;

namespace MigrationCluster.Protocol.Vfio;

/// <summary>
/// The arcs a device driver implements, and the way from any state to any other.
///
/// <code>
///                     PreCopy &lt;------&gt; PreCopyP2P ------.
///                        ^                 ^            v
///   (*) Running &lt;--------+                 |        StopCopy
///          ^                               |            ^
///          '---------&gt; RunningP2P &lt;--------'            |
///                          ^                            |
///                          '-----------&gt; Stop &lt;---------'
///                                         ^
///                                         '----&gt; Resuming
/// </code>
/// (*) Running is the state after power-on and reset. A device without P2P lacks the P2P states: what would pass through
/// one goes straight on (Running to Stop, PreCopy to StopCopy). One without PRE_COPY lacks both PreCopy states.
///
/// The rule (linux/vfio.h): a request takes the shortest path; no saving state (PreCopy, PreCopyP2P, StopCopy) lies inside
/// it unless both ends are saving states; StopCopy to PreCopy* is refused, because some kernels
/// spin for ever on it; Error leaves only by reset. The test recomputes every pair from this rule.
/// </summary>
public static class DeviceArcs
{
    /// <summary>Every arc of a device with P2P and PRE_COPY.</summary>
    public static IReadOnlyList<DeviceArc> Full { get; } =
    [
        new(Running, RunningP2P), new(RunningP2P, Running),
        new(RunningP2P, Stop), new(Stop, RunningP2P),
        new(Stop, StopCopy), new(StopCopy, Stop),
        new(Stop, Resuming), new(Resuming, Stop),
        new(Running, PreCopy), new(PreCopy, Running),
        new(RunningP2P, PreCopyP2P), new(PreCopyP2P, RunningP2P),
        new(PreCopy, PreCopyP2P), new(PreCopyP2P, PreCopy),
        new(PreCopyP2P, StopCopy),
    ];

    /// <summary>Next state of a device with P2P and PRE_COPY: row from, column to, both in uAPI order; Error: refused.</summary>
    private static readonly DeviceState[][] NextState =
    [
        // to:          Error, Stop, Running, StopCopy, Resuming, RunningP2P, PreCopy, PreCopyP2P
        /* Error      */ [Error, Error, Error, Error, Error, Error, Error, Error],
        /* Stop       */ [Error, Stop, RunningP2P, StopCopy, Resuming, RunningP2P, RunningP2P, RunningP2P],
        /* Running    */ [Error, RunningP2P, Running, RunningP2P, RunningP2P, RunningP2P, PreCopy, RunningP2P],
        /* StopCopy   */ [Error, Stop, Stop, StopCopy, Stop, Stop, Error, Error],
        /* Resuming   */ [Error, Stop, Stop, Stop, Resuming, Stop, Stop, Stop],
        /* RunningP2P */ [Error, Stop, Running, Stop, Stop, RunningP2P, Running, PreCopyP2P],
        /* PreCopy    */ [Error, Running, Running, PreCopyP2P, Running, Running, PreCopy, PreCopyP2P],
        /* PreCopyP2P */ [Error, RunningP2P, RunningP2P, StopCopy, RunningP2P, RunningP2P, PreCopy, PreCopyP2P],
    ];

    public static bool IsSaving(DeviceState state) => state is PreCopy or PreCopyP2P or StopCopy;

    /// <summary>Whether a device with these capabilities has this state. Without StopCopy it is not migratable and
    /// only knows Running and Error.</summary>
    public static bool Has(DeviceState state, MigrationCapabilities capabilities) => state switch
    {
        Error or Running => true,
        Stop or StopCopy or Resuming => capabilities.HasFlag(MigrationCapabilities.StopCopy),
        RunningP2P => Has(Stop, capabilities) && capabilities.HasFlag(MigrationCapabilities.P2P),
        PreCopy => Has(Stop, capabilities) && capabilities.HasFlag(MigrationCapabilities.PreCopy),
        PreCopyP2P => Has(PreCopy, capabilities) && Has(RunningP2P, capabilities),
        _ => false,
    };

    /// <summary>The first state on the way; <paramref name="to"/> itself on the last arc, or when already there.</summary>
    /// <returns>null: the request is refused and nothing changes.</returns>
    public static DeviceState? Next(DeviceState from, DeviceState to, MigrationCapabilities capabilities)
    {
        if (!Has(from, capabilities) || !Has(to, capabilities)) return null;
        var next = from;
        do next = NextState[(int)next][(int)to];
        while (next != Error && !Has(next, capabilities));
        return next == Error ? null : next;
    }

    /// <summary>Every state on the way without the first; empty when already there.</summary>
    /// <returns>null: the request is refused and nothing changes.</returns>
    public static IReadOnlyList<DeviceState>? Path(DeviceState from, DeviceState to, MigrationCapabilities capabilities)
    {
        if (Next(from, to, capabilities) is null) return null;
        var path = new List<DeviceState>();
        for (var state = from; state != to; path.Add(state))
            state = Next(state, to, capabilities) ?? throw new InvalidOperationException($"no way on from {state} to {to}");
        return path;
    }
}

/// <summary>One step a device driver implements itself.</summary>
public readonly record struct DeviceArc(DeviceState From, DeviceState To);
