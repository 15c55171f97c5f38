using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>What the demo is asked to show.</summary>
/// <param name="DeviceKinds">net, gpu or serial, in the guest's order.</param>
public sealed record DemoSettings(
    int MemoryMiB, int DirtyRateMiBps, IReadOnlyList<string> DeviceKinds, TimeSpan MaxDowntime, bool Keep)
{
    public const string Guest = "demo";
    public const string Source = "alpha";
    public const string Destination = "beta";
    public const int MostDevices = 16;

    /// <summary>Device memory of one gpu of the template.</summary>
    public const int GpuMemoryMiB = 256;

    /// <summary>Each kind's device template in the demo's node configuration.</summary>
    public static readonly IReadOnlyDictionary<string, string> Templates = new Dictionary<string, string>
    {
        ["net"] = "net-basic",
        ["gpu"] = "gpu-256",
        ["serial"] = "serial",
    };

    public int GpuCount => DeviceKinds.Count(kind => kind == "gpu");

    /// <summary>Named by kind and number. The first net does P2P DMA into the first gpu, if there are both.</summary>
    public IReadOnlyList<DeviceSpec> Devices()
    {
        var numbers = new Dictionary<string, int>();
        var devices = new List<DeviceSpec>();
        foreach (string kind in DeviceKinds)
        {
            int number = numbers.GetValueOrDefault(kind);
            numbers[kind] = number + 1;
            bool peers = kind == "net" && number == 0 && GpuCount > 0;
            devices.Add(new DeviceSpec($"{kind}{number}", Templates[kind], peers ? ["gpu0"] : null));
        }
        return devices;
    }

    public GuestSpec GuestSpec() =>
        new(Guest, MemoryMiB, new VcpuSpec(2, "hotset", DirtyRateMiBps), Devices());

    /// <summary>Both hosts hold the guest for a while, and both are this machine.</summary>
    public int NeededMiB => 2 * (MemoryMiB + (GpuCount * GpuMemoryMiB)) + 400;
}
