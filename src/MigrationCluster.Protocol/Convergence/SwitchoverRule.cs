namespace MigrationCluster.Protocol.Convergence;

/// <summary>What one pass of pre-copy showed.</summary>
/// <param name="RemainingBytes">dirtied while it ran: pages, and device data still to read.</param>
/// <param name="BandwidthBytesPerSecond">0: nothing was sent, so nothing was learned.</param>
public readonly record struct PassObservation(
    int Iteration, long RemainingBytes, double BandwidthBytesPerSecond, bool InitialBytesLoaded);

public abstract record SwitchoverVerdict
{
    private protected SwitchoverVerdict()
    {
    }
}

public sealed record SwitchNow(TimeSpan PredictedDowntime) : SwitchoverVerdict;

public sealed record IterateAgain(TimeSpan PredictedDowntime) : SwitchoverVerdict;

/// <param name="Reason">what is in the way, in words.</param>
public sealed record GiveUp(string Reason) : SwitchoverVerdict;

/// <summary>
/// When to stop iterating. The machine pauses only if every PRE_COPY device's initial bytes are loaded at the
/// destination and the predicted downtime fits the limit:
/// <code>downtime = fixed + remaining / bandwidth</code>
/// where <c>fixed</c> covers barriers, votes, decision and device loading. A pass that would fit but
/// leaves more than 16 MiB and shrinks by half, or is the first, is followed by one more: the limit is a bound, not a budget.
/// </summary>
public static class SwitchoverRule
{
    /// <summary>Passes after which a migration that does not converge is given up; the guest stays healthy.</summary>
    public const int MaxIterations = 30;

    /// <summary>What the blackout costs besides bytes, before anything was learned about this fleet.</summary>
    public static readonly TimeSpan FixedDowntime = TimeSpan.FromMilliseconds(60);

    private const long NotWorthAnotherPassBytes = 16L << 20;

    public static SwitchoverVerdict Judge(PassObservation pass, PassObservation? previous, TimeSpan maxDowntime)
    {
        var predicted = Predict(pass);
        bool fits = predicted <= maxDowntime;
        if (!pass.InitialBytesLoaded)
            return pass.Iteration < MaxIterations
                ? new IterateAgain(predicted)
                : new GiveUp($"a device's initial bytes were not loaded by the destination in {pass.Iteration} passes");

        bool shrinking = previous is { } before && pass.RemainingBytes * 2 < before.RemainingBytes;
        bool worthIt = pass.RemainingBytes > NotWorthAnotherPassBytes && (previous is null || shrinking);
        if (fits && !(worthIt && pass.Iteration < MaxIterations)) return new SwitchNow(predicted);
        if (pass.Iteration < MaxIterations) return new IterateAgain(predicted);
        return new GiveUp(
            $"after {pass.Iteration} passes {pass.RemainingBytes >> 20} MiB are still dirty at " +
            $"{pass.BandwidthBytesPerSecond / (1 << 20):F0} MiB/s: predicted downtime {predicted.TotalMilliseconds:F0} ms " +
            $"exceeds {maxDowntime.TotalMilliseconds:F0} ms");
    }

    private static TimeSpan Predict(PassObservation pass)
    {
        if (pass.RemainingBytes == 0) return FixedDowntime;
        if (pass.BandwidthBytesPerSecond <= 0) return TimeSpan.MaxValue;
        double seconds = pass.RemainingBytes / pass.BandwidthBytesPerSecond;
        return seconds > 86_400 ? TimeSpan.MaxValue : FixedDowntime + TimeSpan.FromSeconds(seconds);
    }
}
