using System.Globalization;

namespace MigrationCluster.Benchmarks;

/// <summary>Prints one line a figure, and remembers whether a gated one missed its bar.</summary>
internal sealed class Figures(TextWriter output)
{
    internal bool AllHold { get; private set; } = true;

    internal void Note(string text) => output.WriteLine("# " + text);

    internal void Print(string name, double value, string unit) =>
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.###} {unit}"));

    internal void PrintSpread(string name, IReadOnlyCollection<double> values, string unit) =>
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name}: {Median(values):0.###} {unit} (median of {values.Count}, {values.Min():0.###} to {values.Max():0.###})"));

    internal void AtLeast(string name, double value, double bar) => Gate(name, value, "ratio", value >= bar, $"at least {bar}");

    internal void AtMost(string name, double value, string unit, double bar, string meaning) =>
        Gate(name, value, unit, value <= bar, meaning);

    /// <summary>An absolute bar: printed as held or not, and gated only at <paramref name="noise"/> times the bar.</summary>
    internal void Within(string name, double value, string unit, double bar, double noise) => Gate(
        name, value, unit, value <= bar * noise,
        string.Create(CultureInfo.InvariantCulture, $"at most {bar} {unit}{(value <= bar ? "" : ", exceeded")}; gated at {bar * noise}"));

    internal static double Median(IReadOnlyCollection<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private void Gate(string name, double value, string unit, bool holds, string bar)
    {
        AllHold &= holds;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{name}: {value:0.###} {unit} (bar: {bar}{(holds ? "" : "; MISSED")})"));
    }
}
