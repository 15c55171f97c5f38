using System.CommandLine;

namespace MigrationCluster.Chaos.Planting;

/// <summary>`--planted NAME`, the same for every command that takes it.</summary>
internal static class PlantedOption
{
    public static Option<string?> Create() => new("--planted")
    {
        Description = $"Run with a known bug instead of the product as it is; it must be found. One of: {PlantedBug.Names}.",
    };

    /// <summary>For commands that start real daemons: of the bugs those that a daemon can have.</summary>
    public static Option<string?> CreateForDaemons()
    {
        var planted = new Option<string?>("--planted")
        {
            Description = "Daemons have a known bug instead of being as they are; it must be found.",
            HelpName = "BUG",
        };
        planted.AcceptOnlyFromAmong([.. PlantedBug.All.Where(bug => bug.IsInMachines).Select(bug => bug.Name)]);
        return planted;
    }

    /// <returns>false: there is no such bug, and the operator has been told.</returns>
    public static bool TryRead(string? name, out Build build)
    {
        build = PlantedBug.Find(name)?.Build ?? Build.Product;
        if (name is null || PlantedBug.Find(name) is not null) return true;
        Console.Error.WriteLine($"mc-chaos: there is no planted bug '{name}'; there are {PlantedBug.Names}");
        return false;
    }
}
