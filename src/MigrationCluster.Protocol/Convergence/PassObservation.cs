namespace MigrationCluster.Protocol.Convergence;

/// <summary>What one pass of pre-copy sent, and what was dirty when it had ended.</summary>
/// <param name="Iteration">from 1.</param>
/// <param name="Duration">from one reading of the dirty logs to the next: what remains was dirtied in this time.</param>
/// <param name="SentBytes">pages and device state on the wire.</param>
/// <param name="PageBytes">of RAM, dirty now.</param>
/// <param name="InitialBytesLoaded">after this pass no PRE_COPY device has initial bytes, and the destination acknowledged all that were sent.</param>
/// <param name="DmaBytes">of <paramref name="PageBytes"/> what logs of devices report: slower vCPUs do not lessen it.</param>
/// <param name="ColdBytes">of <paramref name="PageBytes"/> what the destination has never written: its first touch costs more.</param>
/// <param name="ThrottlePercent">by how much the vCPUs were slowed while it ran.</param>
/// <param name="Devices">what each device still has; empty: nothing is known, or there is nothing.</param>
/// <param name="Capped">the link kept to a limit while it ran that the blackout does not keep to.</param>
public sealed record PassObservation(
    int Iteration, TimeSpan Duration, long SentBytes, long PageBytes, bool InitialBytesLoaded = true, long DmaBytes = 0, long ColdBytes = 0,
    int ThrottlePercent = 0, IReadOnlyList<DevicePass>? Devices = null, bool Capped = false)
{
    /// <summary>Device state that could be sent before the blackout.</summary>
    public long DeviceBytes => Devices?.Sum(device => device.InitialBytes + device.DirtyBytes) ?? 0;

    public long RemainingBytes => PageBytes + DeviceBytes;
}

/// <summary>One device in one pass.</summary>
/// <param name="Model">what its costs are learned under.</param>
/// <param name="InitialBytes">before which the destination cannot begin to load; 0 without PRE_COPY.</param>
/// <param name="DirtyBytes">of what was sent already; 0 without PRE_COPY.</param>
/// <param name="SentBytes">in this pass.</param>
/// <param name="SendTime">of those: what the device, the link and the other device took together.</param>
/// <param name="TracksDirty">false: every page that it may write counts as dirty, at any time.</param>
public sealed record DevicePass(
    string Name, string Model, bool HasPreCopy, long InitialBytes = 0, long DirtyBytes = 0, long SentBytes = 0, TimeSpan SendTime = default,
    bool TracksDirty = true);
