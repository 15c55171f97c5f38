namespace MigrationCluster.Protocol.Convergence;

/// <summary>What is known of a guest before anything of it is sent.</summary>
/// <param name="UsedBytes">of its RAM what holds data, as far as is known.</param>
/// <param name="Pages">how it dirties its RAM.</param>
/// <param name="Seen">that it was seen in an earlier migration; else its spec says so.</param>
public sealed record GuestLoad(long UsedBytes, DirtyCurve Pages, IReadOnlyList<GuestDeviceLoad> Devices, bool Seen)
{
    /// <summary>As it was seen last, or as its spec declares it.</summary>
    /// <param name="declaredBytesPerSecond">written by its vCPUs together.</param>
    /// <param name="hotShare">of RAM, what most writes go to.</param>
    public static GuestLoad Of(
        string guest, long memoryBytes, double declaredBytesPerSecond, double hotShare, IReadOnlyList<GuestDeviceLoad> devices,
        IReadOnlyList<BlackoutRecord> records)
    {
        if (records.LastOrDefault(record => record.Guest == guest && record.Passes.Count > 0) is { } last)
        {
            long first = last.Passes[0].SentBytes - (last.Passes[0].Devices?.Sum(device => device.SentBytes) ?? 0);
            return new GuestLoad(Math.Clamp(first, 0, memoryBytes), DowntimePredictor.Pages(last.Passes), devices, true);
        }

        double set = memoryBytes * hotShare;
        return new GuestLoad(
            memoryBytes, declaredBytesPerSecond > 0 && set > 0 ? new DirtyCurve(set, set / declaredBytesPerSecond, 0, 0.4) : new DirtyCurve(0, 1, 0, 0.4),
            devices, false);
    }
}

/// <param name="Model">what its costs were learned under.</param>
public sealed record GuestDeviceLoad(string Name, string Model, bool HasPreCopy);
