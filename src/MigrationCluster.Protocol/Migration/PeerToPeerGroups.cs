namespace MigrationCluster.Protocol.Migration;

/// <summary>Groups: connected components of the graph "may do P2P DMA into". A device without edges is alone.</summary>
public static class PeerToPeerGroups
{
    /// <param name="devices">every device's name.</param>
    /// <param name="edges">from the device that does DMA to the one it does DMA into; both among <paramref name="devices"/>.</param>
    /// <returns>group number by device name; numbers from 0, in the order of the first member.</returns>
    public static IReadOnlyDictionary<string, int> Of(
        IReadOnlyList<string> devices, IEnumerable<(string From, string To)> edges)
    {
        var parent = devices.ToDictionary(name => name, name => name);
        foreach (var (from, to) in edges) parent[Root(parent, from)] = Root(parent, to);
        var numbers = new Dictionary<string, int>();
        return devices.ToDictionary(name => name, name =>
        {
            string root = Root(parent, name);
            if (!numbers.TryGetValue(root, out int number)) numbers[root] = number = numbers.Count;
            return number;
        });
    }

    private static string Root(Dictionary<string, string> parent, string name)
    {
        while (parent[name] != name) name = parent[name];
        return name;
    }
}
