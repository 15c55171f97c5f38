namespace MigrationCluster.Devices.Emulated;

/// <summary>How many units of work are due now at a steady rate. What was not asked for in time is lost beyond a short
/// burst, so that work which stood still does not come in a flood.</summary>
public sealed class RateBudget(double unitsPerSecond, TimeSpan burst)
{
    private readonly double _limit = Math.Max(1, unitsPerSecond * burst.TotalSeconds);
    private double _due;

    /// <param name="elapsed">since the last call.</param>
    /// <returns>whole units due; the fraction stays.</returns>
    public int Take(TimeSpan elapsed)
    {
        _due = Math.Min(_due + unitsPerSecond * elapsed.TotalSeconds, _limit);
        int units = (int)_due;
        _due -= units;
        return units;
    }
}
