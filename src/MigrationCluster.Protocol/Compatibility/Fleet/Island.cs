using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Hosts joined by pairs that work in both directions: between two islands no pair does, at best one-way edges. Taking a device both
/// ways is not transitive (8 queues may be one host's least and another's most), so an island says whether it is whole.
/// </summary>
/// <param name="Hosts">in the order of the matrix.</param>
/// <param name="IsWhole">every two of its hosts take the device in both directions.</param>
public sealed record Island(IReadOnlyList<HostName> Hosts, bool IsWhole)
{
    internal static IReadOnlyList<Island> Of(CompatibilityMatrix matrix)
    {
        int count = matrix.Hosts.Count;
        var found = new List<Island>();
        bool[] seen = new bool[count];
        for (int first = 0; first < count; first++)
        {
            if (seen[first] || matrix[first, first] == VerdictKind.Absent) continue;
            var members = new List<int> { first };
            seen[first] = true;
            int mutual = 0;
            for (int next = 0; next < members.Count; next++)
                for (int other = 0; other < count; other++)
                {
                    int member = members[next];
                    if (other == member || matrix[member, other] != VerdictKind.Compatible || matrix[other, member] != VerdictKind.Compatible)
                        continue;
                    mutual++;
                    if (seen[other]) continue;
                    seen[other] = true;
                    members.Add(other);
                }
            members.Sort();
            found.Add(new Island([.. members.Select(member => matrix.Hosts[member])], mutual == members.Count * (members.Count - 1)));
        }
        return [.. found.OrderByDescending(island => island.Hosts.Count)];
    }
}
