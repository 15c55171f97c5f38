using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>A failpoint, the process that comes by it, and the way that leads there.</summary>
/// <param name="Process">see <see cref="Scene"/>.</param>
internal sealed record Place(string Point, string Process, Way Way)
{
    /// <summary>Steps that no migration of a matrix comes by, and why.</summary>
    public static readonly IReadOnlyDictionary<string, string> Out = new SortedDictionary<string, string>
    {
        ["Settled"] = "no migration comes by it, but the start and stop of a guest",
        ["SwitchOverPutOff"] = "needs a device that is set up anew, or a destination that opens its data plane anew, between the last pass and the pause",
        ["AwaitWord"] = "needs a coordinator that never comes back, and a source that is silent",
        ["SetupRefused"] = "needs devices that only the real destination tells apart",
        ["HostProvenDead"] = "needs an operator's word",
    };

    public static IReadOnlyList<Place> All { get; } = [.. FailpointNames.All.SelectMany(Of)];

    public static Place Find(string point, string process) => All.Single(place => place.Point == point && place.Process == process);

    /// <summary>As a case and a row of the table name it: the process where it is not the one that the failpoint is named after.</summary>
    public override string ToString() => Point.StartsWith(Process + ":", StringComparison.Ordinal) ? Point : $"{Point} ({Process})";

    private static IEnumerable<Place> Of(string point)
    {
        string[] parts = point.Split(':');
        var (scope, step) = (parts[0], parts[2]);
        var way = Way.All.FirstOrDefault(entry => entry.Steps.Contains(step) || entry.Steps.Contains(point)).Way ?? Way.Moves;
        if (Out.ContainsKey(step)) return [];
        return scope switch
        {
            "row" => [new Place(point, "coordinator", way)],
            "fence" => Fence(point, step),
            _ => [new Place(point, scope, way)],
        };
    }

    /// <summary>Guest processes change their fence files, and daemons those of guest processes that are dead.</summary>
    private static IEnumerable<Place> Fence(string point, string step)
    {
        Way On(string step) => Way.All.First(entry => entry.Steps.Contains(step)).Way;
        return step switch
        {
            "Launched" or "Verified" or "Permit" => [new Place(point, "destination-guest", Way.Moves)],
            "Raised" => [new Place(point, "source-guest", Way.Moves), new Place(point, "destination", On("Raised"))],
            "Kept" => [new Place(point, "source-guest", On("Kept"))],
            _ => [new Place(point, "source-guest", Way.Moves), new Place(point, "source", On("SourceGuestDied"))],
        };
    }
}
