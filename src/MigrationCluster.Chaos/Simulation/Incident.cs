using System.Globalization;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>Something that happens to a fleet from outside: a fault, or an operator's order. All of a seed's are drawn before it runs, so
/// that any of them can be left out.</summary>
/// <param name="Lasting">zero: it is over at once.</param>
/// <param name="Begin">what it does to the fleet.</param>
/// <param name="End">what takes it back.</param>
internal sealed record Incident(
    TimeSpan At, TimeSpan Lasting, string Words, Action<SimulatedFleet> Begin, Action<SimulatedFleet>? End = null)
{
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{At.TotalSeconds,9:F3} s  {Words}") +
        (Lasting == TimeSpan.Zero ? "" : string.Create(CultureInfo.InvariantCulture, $", for {Lasting.TotalSeconds:F2} s"));
}
