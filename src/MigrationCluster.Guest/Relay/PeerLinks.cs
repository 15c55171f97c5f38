using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Relay;

/// <summary>
/// The P2P edges of a guest as they are mapped, and the order that follows from them: nobody does P2P DMA into a device that stands
/// still, whoever commands the devices (<see cref="PeerOrder"/>).
///
/// <code>
///   launch: mapped --pause--> edges that the plan unmaps are unmapped --resume--> mapped      isolate: cut for good
///   incoming:                 the same edges start unmapped            --resume--> mapped
/// </code>
/// </summary>
/// <param name="isMasterless">nothing here has been permitted to run yet: its devices are Running by the uAPI only and start no DMA.</param>
internal sealed class PeerLinks(LaunchSpec launch, GuestMap map, Func<bool> isMasterless, Action<string> log)
{
    private readonly Lock _sync = new();
    private readonly Dictionary<string, DeviceRelay> _relays = [];
    private readonly Dictionary<string, IReadOnlyList<DeviceState>> _underWay = [];
    private readonly List<PeerLink> _links = [];

    /// <summary>What is mapped, or is as soon as the machine runs.</summary>
    public IEnumerable<PeerEdge> Edges => _links.Where(link => !link.IsCut).Select(link => link.Edge);

    /// <summary>Maps what has to be; once, when all devices are there.</summary>
    public async Task OpenAsync(IReadOnlyList<DeviceRelay> relays, bool incoming)
    {
        foreach (var relay in relays) _relays.Add(relay.Name, relay);
        var graph = PeerGraph.Of(launch);
        var unmapped = graph.Unmapped(relays.ToDictionary(relay => relay.Name, relay => relay.Capabilities));
        foreach (var edge in graph.Edges)
        {
            var start = map.PeerWindow(launch.Devices.First(device => device.Name == edge.To));
            _links.Add(new PeerLink(
                edge, _relays[edge.From], new PeerWindow(_relays[edge.To], start, GpuRegisters.Doorbells),
                start, unmapped.Contains(edge)));
        }
        foreach (var link in _links)
            if (!(incoming && link.LeavesForBlackout)) await link.MapAsync();
    }

    /// <summary>The machine is paused: the edges that the plan unmaps go.</summary>
    public Task PausedAsync() => UnmapAsync(link => link.LeavesForBlackout);

    /// <summary>All devices run: what was unmapped for the blackout comes back before the machine does.</summary>
    public async Task ResumingAsync()
    {
        foreach (var link in _links.Where(link => link is { LeavesForBlackout: true, IsCut: false }))
        {
            try
            {
                await link.MapAsync();
            }
            catch (IOException e)
            {
                log($"P2P DMA of {link.Edge} cannot be mapped again: {e.Message}");
            }
        }
    }

    /// <summary>A device that is left behind: none of its edges is mapped any more, in either direction, for as long as this guest
    /// process lives.</summary>
    public async Task IsolateAsync(string device)
    {
        if (!_relays.TryGetValue(device, out var relay)) throw new DeviceRefusedException($"no device {device}", Errno.ENOENT);
        if (!relay.IsIsolated) log($"{device} is left behind in {relay.KnownState}: nothing reaches it, and it reaches nothing");
        relay.IsIsolated = true;
        foreach (var link in _links) link.IsCut |= link.Edge.From == device || link.Edge.To == device;
        await UnmapAsync(link => link.IsCut, of: device);
    }

    /// <summary>Holds a device's way against the order; until disposed it counts as in every state of it.</summary>
    /// <exception cref="DeviceRefusedException">EBUSY: names the peer that is in the way.</exception>
    public IDisposable Enter(DeviceRelay relay, DeviceState from, IReadOnlyList<DeviceState> path)
    {
        lock (_sync)
        {
            var at = from;
            foreach (var next in isMasterless() ? [] : path)
            {
                if (PeerOrder.Refusal(
                    relay.Name, at, next, Ends(link => link.Edge.To == relay.Name, link => link.Edge.From),
                    Ends(link => link.Edge.From == relay.Name, link => link.Edge.To)) is { } refusal)
                    throw new DeviceRefusedException(refusal, Errno.EBUSY);
                at = next;
            }
            _underWay[relay.Name] = path;
        }
        return new UnderWay(this, relay.Name);
    }

    private List<(string Name, DeviceState State)> Ends(Func<PeerLink, bool> which, Func<PeerLink, string> end) =>
    [
        .. from link in _links
        where link.IsMapped && which(link)
        let name = end(link)
        from state in _underWay.GetValueOrDefault(name, []).Prepend(_relays[name].KnownState)
        select (name, state),
    ];

    /// <summary>The window is closed here first, which needs no device; that the device is told too keeps its own map right.</summary>
    private async Task UnmapAsync(Func<PeerLink, bool> which, string? of = null)
    {
        foreach (var link in _links.Where(link => link.IsMapped && which(link)))
        {
            link.Close();
            // What is left behind may not answer, and nobody waits for it.
            if (link.Edge.From == of) continue;
            try
            {
                await link.UnmapAsync();
            }
            catch (IOException e)
            {
                log($"P2P DMA of {link.Edge} is refused from here on, but {link.Edge.From} does not unmap it: {e.Message}");
            }
        }
    }

    private sealed class UnderWay(PeerLinks links, string device) : IDisposable
    {
        public void Dispose()
        {
            lock (links._sync) links._underWay.Remove(device);
        }
    }
}

/// <summary>One edge and its window in the writing device's DMA.</summary>
/// <param name="leaves">it is unmapped for the blackout.</param>
internal sealed class PeerLink(PeerEdge edge, DeviceRelay from, PeerWindow window, Protocol.Memory.Iova start, bool leaves)
{
    private bool _told;

    public PeerEdge Edge => edge;

    public bool LeavesForBlackout => leaves;

    /// <summary>An end of it was isolated.</summary>
    public bool IsCut { get; set; }

    public bool IsMapped { get; private set; }

    public async Task MapAsync()
    {
        if (!_told)
            await from.MapPeerAsync(new DmaWindow(
                start, GpuRegisters.DoorbellPageBytes, Readable: false, Writable: true, null, 0, window));
        _told = IsMapped = true;
        window.IsOpen = true;
    }

    public void Close() => window.IsOpen = IsMapped = false;

    public async Task UnmapAsync()
    {
        await from.UnmapPeerAsync(start, GpuRegisters.DoorbellPageBytes);
        _told = false;
    }
}
