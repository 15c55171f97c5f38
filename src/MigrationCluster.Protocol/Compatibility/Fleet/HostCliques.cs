namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// The largest groups of hosts of which every two take each other's devices both ways, as far as parameters are not concerned (Bron and
/// Kerbosch, with a pivot). Hosts with the same neighbours are one vertex, so there are few however many drivers a fleet has.
/// </summary>
internal static class HostCliques
{
    /// <summary>There could be exponentially many.</summary>
    private const int Most = 256;

    /// <param name="mutual">by host, those with which it works both ways; itself included, or it is in no group.</param>
    /// <returns>the groups, and whether these are all.</returns>
    internal static (IReadOnlyList<HostSet> Groups, bool Complete) Of(IReadOnlyList<HostSet> mutual)
    {
        var twins = Enumerable.Range(0, mutual.Count).Where(host => mutual[host].Contains(host))
            .GroupBy(host => mutual[host]).Select(group => group.ToArray()).ToArray();
        var neighbours = new HashSet<int>[twins.Length];
        for (int vertex = 0; vertex < twins.Length; vertex++)
            neighbours[vertex] = [.. Enumerable.Range(0, twins.Length)
                .Where(other => other != vertex && mutual[twins[vertex][0]].Contains(twins[other][0]))];
        var found = new List<HashSet<int>>();
        Extend([], [.. Enumerable.Range(0, twins.Length)], [], neighbours, found);
        return (
            [.. found.Select(group =>
            {
                var hosts = group.SelectMany(vertex => twins[vertex]).ToHashSet();
                return HostSet.Of(mutual.Count, hosts.Contains);
            })],
            found.Count < Most);
    }

    private static void Extend(
        HashSet<int> members, HashSet<int> candidates, HashSet<int> excluded, HashSet<int>[] neighbours, List<HashSet<int>> found)
    {
        if (found.Count >= Most) return;
        if (candidates.Count == 0)
        {
            if (excluded.Count == 0 && members.Count > 0) found.Add([.. members]);
            return;
        }
        var pivot = neighbours[candidates.Concat(excluded).MaxBy(vertex => neighbours[vertex].Count(candidates.Contains))];
        foreach (int vertex in candidates.Where(vertex => !pivot.Contains(vertex)).ToArray())
        {
            Extend([.. members, vertex], [.. candidates.Where(neighbours[vertex].Contains)],
                [.. excluded.Where(neighbours[vertex].Contains)], neighbours, found);
            candidates.Remove(vertex);
            excluded.Add(vertex);
        }
    }
}
