using System.Text;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;

namespace MigrationCluster.Devices.Tests.Sysfs;

/// <summary>A host's sysfs with the sample parent mtty and one type of it, in which devices are created and removed as the kernel does.</summary>
internal sealed class SampleMttyHost
{
    internal const string Type = "mtty-2";
    private const string Parent = "devices/virtual/mtty/mtty";
    private readonly List<Guid> _existing = [];

    internal SampleMttyHost(int instances)
    {
        string type = $"{Parent}/mdev_supported_types/{Type}";
        Tree.Link("class/mdev_bus/mtty", $"../../{Parent}").Folder("bus/mdev/devices")
            .Text($"{type}/name", "Dual port serial\n").Text($"{type}/device_api", "vfio-pci\n")
            .Attribute($"{type}/available_instances", () => FuseAnswer.Text($"{instances - _existing.Count}\n"))
            .Attribute($"{type}/create", () => FuseAnswer.Text(""), Create);
    }

    internal FuseTree Tree { get; } = new();

    /// <summary>Of what was created and not removed.</summary>
    internal IReadOnlyList<Guid> Existing => [.. _existing];

    /// <summary>ENOSPC, though an instance is left: another was faster.</summary>
    internal bool Refuses { get; init; }

    internal int Created { get; private set; }

    private int Create(byte[] written)
    {
        if (Refuses) return -28;
        var uuid = Guid.Parse(Encoding.ASCII.GetString(written).TrimEnd('\n'));
        _existing.Add(uuid);
        Created++;
        string home = $"{Parent}/{uuid}";
        Tree.Link($"{home}/mdev_type", $"../mdev_supported_types/{Type}").Link($"{home}/iommu_group", "../../../../kernel/iommu_groups/3")
            .Attribute($"{home}/remove", () => FuseAnswer.Text(""), taken => Remove(uuid, taken.Length))
            .Link($"bus/mdev/devices/{uuid}", $"../../../{home}");
        return written.Length;
    }

    private int Remove(Guid uuid, int taken)
    {
        _existing.Remove(uuid);
        Tree.Remove($"bus/mdev/devices/{uuid}").Remove($"{Parent}/{uuid}");
        return taken;
    }
}
