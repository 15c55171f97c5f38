namespace MigrationCluster.Node.Guests;

/// <summary>P2P groups: connected components of the graph "may do P2P DMA into". A device without edges is alone.</summary>
public static class PeerGroups
{
    /// <param name="devices">each device with the names of those it does P2P DMA into.</param>
    /// <returns>the group number of each device, from 0 in the order of the devices.</returns>
    public static IReadOnlyDictionary<string, int> Of(IEnumerable<(string Name, IReadOnlyList<string> Peers)> devices)
    {
        var all = devices.ToList();
        var group = all.Select((device, i) => (device.Name, i)).ToDictionary(d => d.Name, d => d.i);
        foreach (var (name, peers) in all)
            foreach (string peer in peers.Where(group.ContainsKey))
                Join(group, name, peer);
        var numbers = all.Select(device => group[device.Name]).Distinct().Select((root, i) => (root, i))
            .ToDictionary(g => g.root, g => g.i);
        return group.ToDictionary(device => device.Key, device => numbers[device.Value]);
    }

    private static void Join(Dictionary<string, int> group, string one, string other)
    {
        var (low, high) = (Math.Min(group[one], group[other]), Math.Max(group[one], group[other]));
        foreach (string name in group.Keys.Where(name => group[name] == high).ToList()) group[name] = low;
    }
}
