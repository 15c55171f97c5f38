using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Guests;

/// <summary>
/// What a node hands to a guest process it launches: a guest spec with its templates resolved by this host's
/// configuration. Written as <c>launch.json</c> into the guest's directory; a guest spec itself never carries a model
/// or a command line.
/// </summary>
/// <param name="Incoming">true: wait for a migration; false: start running at <paramref name="Epoch"/>.</param>
/// <param name="Owner">what an incoming process belongs to; null: it is none, or of an earlier release.</param>
/// <param name="SilenceSeconds">the least that its device servers are given for an answer; null: as ever.</param>
public sealed record LaunchSpec(
    string Guest,
    bool Incoming,
    ulong Epoch,
    ulong Term,
    int MemoryMiB,
    LaunchVcpus Vcpus,
    IReadOnlyList<LaunchDevice> Devices,
    LaunchOwner? Owner = null,
    int? SilenceSeconds = null);

/// <summary>For whoever finds an incoming guest process and wants to know whose it is.</summary>
/// <param name="Coordinator">the node that ordered it; null: it did not say.</param>
public sealed record LaunchOwner(string Migration, string? Coordinator);

/// <param name="Pattern">uniform, hotset or sequential.</param>
/// <param name="DirtyRateMiBps">MiB of guest pages the vCPUs write each second, all of them together.</param>
/// <param name="Seed">of the access pattern.</param>
public sealed record LaunchVcpus(int Count, string Pattern, int DirtyRateMiBps, ulong Seed);

/// <param name="Model">an emulated device model: net, gpu, serial, legacy; null: <paramref name="Command"/> serves the device.</param>
/// <param name="Parameters">configuration parameters, by the model's own names; absent ones are off.</param>
/// <param name="PeerToPeer">names of devices of the same guest this one does P2P DMA into.</param>
/// <param name="Version">a version of the model: an alias of parameter values, of which explicit ones win; null: none.</param>
/// <param name="Command">program and arguments of a vfio-user server that somebody else wrote, instead of a model; <c>{socket}</c> in it
/// becomes the path it is to listen on.</param>
/// <param name="PeerToPeerRemovable">its P2P mappings may be removed while a migration has the guest stand still.</param>
/// <param name="Vfio">a device of this host's kernel instead of a model; null: it is none.</param>
public sealed record LaunchDevice(
    string Name,
    string? Model,
    IReadOnlyDictionary<string, string> Parameters,
    IReadOnlyList<string> PeerToPeer,
    string? Version = null,
    IReadOnlyList<string>? Command = null,
    bool PeerToPeerRemovable = false,
    LaunchKernelDevice? Vfio = null)
{
    /// <summary>What stands for the path of the socket in a command.</summary>
    public const string SocketPlaceholder = "{socket}";

    /// <summary>What to call a device by whose model nobody here knows.</summary>
    public const string Foreign = "foreign";

    /// <summary>What to call its kind.</summary>
    public string Kind => Model ?? (Vfio is { } kernel ? kernel.MediatedType ?? "vfio" : Foreign);
}

/// <summary>A device that the guest process opens in this host's kernel.</summary>
/// <param name="Device">UUID of a mediated device, or address of a PCI function.</param>
/// <param name="MediatedType">the type this mediated device is created from for this launch, and removed with it; null: it was there before.</param>
/// <param name="Parent">the device it is created from; null: any that has an instance left.</param>
public sealed record LaunchKernelDevice(string Device, string? MediatedType = null, string? Parent = null);

/// <summary>The files of a guest's directory on a host. All names are short: socket paths end at 107 bytes.</summary>
public static class GuestFiles
{
    public const string LaunchSpec = "launch.json";
    public const string Fence = "fence";
    public const string Log = "guest.log";
    public const string ProcessId = "pid";

    /// <summary>A line a device server: its device's name and its process id.</summary>
    public const string DeviceServers = "servers";

    /// <summary>The endpoint of a device, or of the machine (<see cref="DeviceName.Machine"/>).</summary>
    public static string Endpoint(DeviceName device) => $"{device}.sock";

    /// <summary>A device server's own socket, private to the guest process.</summary>
    public static string DeviceServer(DeviceName device) => $"{device}.dev";
}
