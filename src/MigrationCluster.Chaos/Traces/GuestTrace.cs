namespace MigrationCluster.Chaos.Traces;

/// <summary>
/// What a guest writes and what its link carries, for ten minutes, so that for any two moments it is known how many distinct bytes were dirtied and
/// how many could be sent: the same for every rule, whichever moments it looks at.
/// </summary>
/// <param name="Kind">what made it.</param>
/// <param name="RamBytes">what the first pass sends.</param>
/// <param name="Limit">on the downtime.</param>
internal sealed record GuestTrace(
    string Kind, long RamBytes, TimeSpan Limit, IReadOnlyList<IWrites> Writes, Curve Link, IReadOnlyList<TracedDevice> Devices, BlackoutCosts Costs)
{
    /// <summary>Of a slot, and of all of them.</summary>
    public const double SlotSeconds = 0.02, Seconds = 600;

    /// <summary>Distinct bytes of RAM dirtied between two moments.</summary>
    public long Dirtied(double from, double to, bool dmaOnly = false) =>
        Math.Min(RamBytes, (long)Writes.Sum(writes => writes.Distinct(from, to, dmaOnly)));

    /// <summary>How long so many bytes take from a moment on; beyond the end of the trace the link goes on as it was there.</summary>
    public double SendSeconds(double from, long bytes) => Link.Reach(Link.At(from) + bytes) - from;
}

/// <summary>What is written to memory.</summary>
internal interface IWrites
{
    /// <summary>Distinct bytes written between two moments, s.</summary>
    double Distinct(double from, double to, bool dmaOnly = false);
}

/// <summary>Writes that hit the same memory again, or memory that nothing was written to.</summary>
/// <param name="SetBytes">that it writes into at random; null: each page once, one after the other.</param>
/// <param name="Written">bytes.</param>
internal sealed record WriteStream(long? SetBytes, bool IsDma, Curve Written) : IWrites
{
    public double Distinct(double from, double to, bool dmaOnly = false)
    {
        if (dmaOnly && !IsDma) return 0;
        double written = Written.At(to) - Written.At(from);
        return SetBytes is { } set ? set * (1 - Math.Exp(-written / set)) : written;
    }
}

/// <summary>One device, as a rule hears of it.</summary>
/// <param name="InitialBytes">and from then on what <paramref name="Changed"/> says, at most so many.</param>
/// <param name="BytesPerSecond">at which it saves and loads.</param>
/// <param name="FinalBytes">of its final state that no pass can send before.</param>
internal sealed record TracedDevice(
    string Name, string Model, bool HasPreCopy, long InitialBytes, WriteStream Changed, double BytesPerSecond, long FinalBytes);
