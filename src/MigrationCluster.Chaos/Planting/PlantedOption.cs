using System.CommandLine;

namespace MigrationCluster.Chaos.Planting;

/// <summary>`--planted NAME`, the same for every command that takes it.</summary>
internal static class PlantedOption
{
    public static Option<string?> Create() => new("--planted")
    {
        Description = $"Run with a known bug instead of the product as it is; it must be found. One of: {PlantedBug.Names}.",
    };

    /// <returns>false: there is no such bug, and the operator has been told.</returns>
    public static bool TryRead(string? name, out Build build)
    {
        build = PlantedBug.Find(name)?.Build ?? Build.Product;
        if (name is null || PlantedBug.Find(name) is not null) return true;
        Console.Error.WriteLine($"mc-chaos: there is no planted bug '{name}'; there are {PlantedBug.Names}");
        return false;
    }
}
