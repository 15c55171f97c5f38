using System.Globalization;
using System.Text;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>The cases of a matrix together.</summary>
/// <param name="Planned">cases asked for.</param>
/// <param name="Command">that goes on with it, or does it again.</param>
internal sealed record MatrixReport(string Command, string Host, int Planned, IReadOnlyList<MatrixSummary> Faults, IReadOnlyList<MatrixResult> Results)
{
    public const string AllFaults = "all";

    public int Wrong => Results.Count(result => result.Wrong.Count > 0);

    public static MatrixReport Of(string command, int planned, IReadOnlyList<MatrixResult> results) => new(
        command, $"{Environment.ProcessorCount} cores, {Environment.OSVersion.VersionString}", planned,
        [
            .. results.Where(result => result.Hits.Count > 0).GroupBy(FaultOf).OrderBy(group => group.Key, StringComparer.Ordinal)
                .Select(group => MatrixSummary.Of(group.Key, [.. group])),
            MatrixSummary.Of(AllFaults, [.. results.Where(result => result.Hits.Count > 0)]),
        ], results);

    public string Text()
    {
        var text = new StringBuilder();
        foreach (var row in Faults)
            text.AppendLine(CultureInfo.InvariantCulture, $"{row.Fault}: {row.Cases} cases, {row.Places} failpoints; {row.Told()}; recovery {row.Recovery()}; {row.Wrong} wrong");
        foreach (var result in Results.Where(result => result.Wrong.Count > 0))
            text.AppendLine(CultureInfo.InvariantCulture, $"WRONG {result.Case}: {result.Told}: {string.Join("; ", result.Wrong)}");
        text.AppendLine(CultureInfo.InvariantCulture, $"{Results.Count(result => result.Hits.Count > 0)} of {Planned} cases have run, {Wrong} wrong");
        return text.ToString();
    }

    /// <summary>Summary, and a row a place with a column a fault; a row a case where it has two faults.</summary>
    public string Markdown()
    {
        var text = new StringBuilder();
        void Line(string line) => text.Append(line).Append('\n');
        Line($"Of commit {string.Join(", ", Results.Select(result => result.Commit).Distinct())}, on {Host}, by\n\n    {Command}\n");
        Line($"{Results.Count(result => result.Hits.Count > 0)} of {Planned} cases have run, {Wrong} did not hold. Recovery is counted from the fault's end until the migration has ended and the guest runs.\n");
        Line("| fault | cases | failpoints | outcomes | recovery | wrong |\n| --- | ---: | ---: | --- | --- | ---: |");
        foreach (var row in Faults) Line($"| {row.Fault} | {row.Cases} | {row.Places} | {row.Told()} | {row.Recovery()} | {row.Wrong} |");
        foreach (var result in Results.Where(result => result.Wrong.Count > 0)) Line($"\nDid not hold: {result.Case}: {result.Told}: {string.Join("; ", result.Wrong)}");
        var singles = Results.Where(result => result.Hits.Count == 1).ToList();
        string[] faults = [.. singles.Select(FaultOf).Distinct().Order(StringComparer.Ordinal)];
        if (faults.Length > 0)
        {
            Line($"\n| failpoint | {string.Join(" | ", faults)} |\n| --- |{string.Concat(faults.Select(_ => " --- |"))}");
            var cells = singles.ToLookup(result => (Place.Find(result.Hits[0].Point, result.Hits[0].Process), FaultOf(result)));
            foreach (var place in Place.All.Where(place => faults.Any(fault => cells.Contains((place, fault)))))
                Line($"| `{place.Point}`{(place.ToString() == place.Point ? "" : $" in the {place.Process}")} | {string.Join(" | ", faults.Select(fault => string.Join(", ", cells[(place, fault)].Select(Cell))))} |");
        }

        if (Results.Any(result => result.Hits.Count > 1)) Line("\n| pair | outcome |\n| --- | --- |");
        foreach (var result in Results.Where(result => result.Hits.Count > 1)) Line($"| {result.Case} | {Cell(result)} |");
        Line("\nNot in it, for no migration of a matrix comes by them: " + string.Join("; ", Place.Out.Select(pair => $"`{pair.Key}` ({pair.Value})")) + ".");
        return text.ToString();
    }

    private static string FaultOf(MatrixResult result) => string.Join(" + ", result.Hits.Select(hit => hit.Fault).Order(StringComparer.Ordinal));

    private static string Cell(MatrixResult result) => (result.Wrong.Count > 0 ? "**WRONG** " : "") + result.Told
        + (result.RecoverySeconds is { } seconds ? seconds.ToString(" 0.0 's'", CultureInfo.InvariantCulture) : "");
}

/// <param name="Places">failpoints that the fault has struck at.</param>
/// <param name="RecoverySeconds">ascending.</param>
internal sealed record MatrixSummary(
    string Fault, int Cases, int Places, IReadOnlyDictionary<string, int> Outcomes, IReadOnlyList<double> RecoverySeconds, int Wrong)
{
    public static MatrixSummary Of(string fault, IReadOnlyList<MatrixResult> results) => new(
        fault, results.Count, results.Where(result => result.RecoverySeconds is not null).SelectMany(result => result.Hits).Select(hit => hit.Point).Distinct().Count(),
        new SortedDictionary<string, int>(results.GroupBy(result => result.Told).ToDictionary(group => group.Key, group => group.Count())),
        [.. results.Select(result => result.RecoverySeconds).OfType<double>().Order()], results.Count(result => result.Wrong.Count > 0));

    public string Told() => string.Join(", ", Outcomes.Select(pair => $"{pair.Key} {pair.Value}"));

    public string Recovery() => RecoverySeconds.Count == 0 ? "none" : string.Create(CultureInfo.InvariantCulture,
        $"median {Quantile(0.5):F1} s, p99 {Quantile(0.99):F1} s, most {RecoverySeconds[^1]:F1} s of {RecoverySeconds.Count}");

    /// <summary>The nearest rank.</summary>
    public double Quantile(double share) => RecoverySeconds[Math.Max(0, (int)Math.Ceiling(share * RecoverySeconds.Count) - 1)];
}
