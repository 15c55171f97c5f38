using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>Why a migration stands or ended as it did: a story to read from top to bottom, evidence under what rests on it.</summary>
public static class WhyReport
{
    public static void Write(TextWriter writer, WhyView why)
    {
        writer.WriteLine($"{why.Id}: {why.Guest}, {why.Source} → {why.Destination}, attempt e{why.Epoch}: {why.Phase} ({why.Outcome})");
        writer.WriteLine();
        var start = why.Timeline.Select(entry => entry.At).FirstOrDefault();
        int width = why.Timeline.Select(entry => Who(entry).Length).DefaultIfEmpty().Max();
        foreach (var entry in why.Timeline)
        {
            writer.WriteLine($"{PlainProgress.Clock((entry.At - start).TotalMilliseconds)}  {Who(entry).PadRight(width)}  {entry.What}");
            foreach (string evidence in entry.Evidence) writer.WriteLine($"{"",12}{"".PadRight(width)}  - {evidence}");
        }

        writer.WriteLine();
        writer.WriteLine(why.Verdict.Statement);
        foreach (string proof in why.Verdict.Proof) writer.WriteLine($"  - {proof}");
        if (why.Missing.Count == 0) return;
        writer.WriteLine("Evidence that could not be had:");
        foreach (string missing in why.Missing) writer.WriteLine($"  - {missing}");
    }

    private static string Who(WhyEntryView entry) => entry.Term is { } term ? $"{entry.Who} (t{term})" : entry.Who;
}
