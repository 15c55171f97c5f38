namespace MigrationCluster.Protocol.Migration;

/// <summary>Groups: connected components of the graph "may do P2P DMA into". A device without edges is alone.</summary>
public static class PeerToPeerGroups
{
    /// <param name="devices">each device with the names of those it does P2P DMA into; names of no device are passed over.</param>
    /// <returns>group number by device name; numbers from 0, in the order of the first member.</returns>
    public static IReadOnlyDictionary<string, int> Of(IEnumerable<(string Name, IReadOnlyList<string> Peers)> devices)
    {
        var all = devices.ToList();
        var parent = all.ToDictionary(device => device.Name, device => device.Name);
        foreach (var (name, peers) in all)
            foreach (string peer in peers.Where(parent.ContainsKey))
                parent[Root(parent, name)] = Root(parent, peer);
        var numbers = new Dictionary<string, int>();
        return all.ToDictionary(device => device.Name, device =>
        {
            string root = Root(parent, device.Name);
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
