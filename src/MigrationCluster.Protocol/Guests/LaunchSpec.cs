using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Guests;

/// <summary>
/// What a node hands to a guest process it launches: a guest spec with its templates resolved by this host's
/// configuration. Written as <c>launch.json</c> into the guest's directory; a guest spec itself never carries a model
/// or a command line.
/// </summary>
/// <param name="Incoming">true: wait for a migration; false: start running at <paramref name="Epoch"/>.</param>
public sealed record LaunchSpec(
    string Guest,
    bool Incoming,
    ulong Epoch,
    ulong Term,
    int MemoryMiB,
    LaunchVcpus Vcpus,
    IReadOnlyList<LaunchDevice> Devices);

/// <param name="Pattern">uniform, hotset or sequential.</param>
/// <param name="DirtyRateMiBps">MiB of guest pages the vCPUs write each second, all of them together.</param>
/// <param name="Seed">of the access pattern.</param>
public sealed record LaunchVcpus(int Count, string Pattern, int DirtyRateMiBps, ulong Seed);

/// <param name="Model">an emulated device model: net, gpu, serial.</param>
/// <param name="Parameters">the template's configuration parameters, by the model's own names.</param>
/// <param name="PeerToPeer">names of devices of the same guest this one does P2P DMA into.</param>
public sealed record LaunchDevice(
    string Name,
    string Model,
    IReadOnlyDictionary<string, string> Parameters,
    IReadOnlyList<string> PeerToPeer);

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
