using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Migration;

/// <summary>One device does P2P DMA into another: the second's BAR is mapped for the first's DMA.</summary>
/// <param name="Removable">its mapping may be removed while a migration has the guest stand still: the guest's owner says that its
/// software takes P2P writes that are held meanwhile.</param>
public sealed record PeerEdge(string From, string To, bool Removable = false)
{
    public override string ToString() => $"{From} into {To}";
}

/// <summary>
/// Which device of a guest may do P2P DMA into which: what the guest's spec declares, and what its process says it has mapped.
/// </summary>
/// <param name="Devices">every device of the guest, in the order of its spec.</param>
public sealed record PeerGraph(IReadOnlyList<string> Devices, IReadOnlyList<PeerEdge> Edges)
{
    private const char Arrow = '>';

    public static PeerGraph Of(IEnumerable<(string Name, IReadOnlyList<string> Peers, bool Removable)> devices)
    {
        var all = devices.ToList();
        return new PeerGraph(
            [.. all.Select(device => device.Name)],
            [.. all.SelectMany(device => device.Peers.Distinct().Select(peer => new PeerEdge(device.Name, peer, device.Removable)))]);
    }

    public static PeerGraph Of(LaunchSpec spec) => Of(spec.Devices.Select(device => (device.Name, device.PeerToPeer, device.PeerToPeerRemovable)));

    /// <summary>Adds the mappings that a guest process says it has, where nothing had declared them.</summary>
    /// <param name="mapped">as <see cref="Write"/> writes them.</param>
    public PeerGraph With(string mapped)
    {
        var edges = Edges.ToList();
        foreach (string text in mapped.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            if (text.Split(Arrow) is [var from, var to] && !edges.Exists(edge => edge.From == from && edge.To == to))
                edges.Add(new PeerEdge(from, to));
        return this with { Edges = edges };
    }

    /// <summary>Mappings as one line of text, for a setup record.</summary>
    public static string Write(IEnumerable<PeerEdge> edges) => string.Join(' ', edges.Select(edge => $"{edge.From}{Arrow}{edge.To}"));

    /// <summary>The edges that are unmapped for the blackout: those that may be, and have an end that cannot be P2P-quiet.</summary>
    /// <param name="capabilities">by device; one that is not known counts as capable.</param>
    public IReadOnlyList<PeerEdge> Unmapped(IReadOnlyDictionary<string, MigrationCapabilities> capabilities) =>
        [.. Edges.Where(edge => edge.Removable && (IsUnquiet(edge.From, capabilities) || IsUnquiet(edge.To, capabilities)))];

    /// <summary>Groups: the components of what stays mapped. A device without edges is alone.</summary>
    /// <returns>group number by device name; numbers from 0, in the order of the first member.</returns>
    public IReadOnlyDictionary<string, int> Groups(IReadOnlyDictionary<string, MigrationCapabilities> capabilities)
    {
        var left = Edges.Except(Unmapped(capabilities)).ToLookup(edge => edge.From, edge => edge.To);
        return PeerToPeerGroups.Of(Devices.Select(name => (name, (IReadOnlyList<string>)[.. left[name]])));
    }

    internal static bool IsUnquiet(string device, IReadOnlyDictionary<string, MigrationCapabilities> capabilities) =>
        capabilities.TryGetValue(device, out var known) && !known.HasFlag(MigrationCapabilities.P2P);
}
