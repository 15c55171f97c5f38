using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Transfers;

/// <summary>How to reach one guest process: where its sockets are and under which fence a session commands it.</summary>
public sealed record GuestAddress(GuestName Guest, string Directory, Fence Fence)
{
    public string SocketOf(DeviceName device) => Path.Combine(Directory, GuestFiles.Endpoint(device));

    /// <summary>Connects to one device's endpoint and binds the session.</summary>
    public async Task<EndpointClient> OpenAsync(DeviceName device, CancellationToken cancellationToken)
    {
        EndpointClient client = device == DeviceName.Machine
            ? await MachineEndpointClient.ConnectAsync(SocketOf(device), cancellationToken: cancellationToken)
            : await EndpointClient.ConnectAsync(SocketOf(device), cancellationToken: cancellationToken);
        try
        {
            await client.BindAsync(Guest, Fence, cancellationToken);
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }
}

/// <summary>A guest's RAM and tables of transfers, mapped into the daemon through the machine endpoint.</summary>
/// <remarks>Shared memory of the guest process: it does not count as the daemon's own.</remarks>
public sealed class MappedGuest : IAsyncDisposable
{
    private readonly EndpointClient _machine;
    private readonly List<MappedMemory> _mappings = [];

    private MappedGuest(EndpointClient machine) => _machine = machine;

    public MappedGuestRam Ram { get; private set; } = null!;

    public static async Task<MappedGuest> OpenAsync(GuestAddress address, CancellationToken cancellationToken)
    {
        var machine = (MachineEndpointClient)await address.OpenAsync(DeviceName.Machine, cancellationToken);
        var mapped = new MappedGuest(machine);
        try
        {
            var layout = await machine.GetMemoryLayoutAsync(cancellationToken);
            var windows = new List<MappedWindow>();
            for (int i = 0; i < layout.Windows.Count; i++)
            {
                var file = machine.GetRegionFile(1 + i);
                windows.Add(new MappedWindow(mapped.Map(1 + i), file.File, file.Offset));
            }

            // The tables of transfers follow the RAM windows.
            mapped.Ram = new MappedGuestRam(layout, windows, mapped.Map(1 + layout.Windows.Count));
            return mapped;
        }
        catch
        {
            await mapped.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var mapping in _mappings) mapping.Dispose();
        await _machine.DisposeAsync();
    }

    private unsafe nint Map(int region)
    {
        var mapping = _machine.MapRegion(region);
        _mappings.Add(mapping);
        // SAFETY: the pointer is handed on as an address; this object outlives every user of it.
        return (nint)mapping.Pointer;
    }
}
