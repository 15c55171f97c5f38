using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>What is not as it should be, the evidence under it, and what was done or is needed.</summary>
public static class ReconcileReport
{
    public static void Write(TextWriter writer, ReconcileView found)
    {
        if (found.Deviations.Count == 0) writer.WriteLine("Everything is as rows and journals say.");
        foreach (var deviation in found.Deviations)
        {
            writer.WriteLine($"{deviation.What} [{deviation.Code}]");
            foreach (string evidence in deviation.Evidence) writer.WriteLine($"  - {evidence}");
            if (deviation.Done is { } done) writer.WriteLine($"  done: {done}");
            if (deviation.Needed is { } needed) writer.WriteLine($"  needed: {needed}");
        }
    }
}
