using MigrationCluster.Devices.Tests.Sysfs.Fuse;

namespace MigrationCluster.Devices.Tests.Sysfs;

/// <summary>Pieces of a host's sysfs, laid out as the kernel does: everything lies under devices/, the rest are links.</summary>
internal static class SampleHost
{
    internal const string Gpu = "0000:00:02.0";
    internal const string Uuid = "5ac1fb20-2bbf-4842-bb7e-36c58c3be9cd";

    /// <summary>Where the thread's paths begin for a PCI parent.</summary>
    internal static string Pci(string address) => $"bus/pci/devices/{address}";

    internal static FuseTree AddFunction(this FuseTree tree, string address, string vendor = "0x8086", string device = "0x193b")
    {
        string home = $"devices/pci0000:00/{address}";
        tree.Text($"{home}/vendor", vendor + "\n").Text($"{home}/device", device + "\n")
            .Text($"{home}/subsystem_vendor", "0x1028\n").Text($"{home}/subsystem_device", "0x06e4\n")
            .Text($"{home}/class", "0x030000\n").Text($"{home}/revision", "0x09\n")
            .Text($"{home}/numa_node", "-1\n").Bytes($"{home}/config", Config()).Text($"{home}/resource", Resource)
            .Link($"{home}/iommu_group", "../../../kernel/iommu_groups/7").Folder("kernel/iommu_groups/7")
            .Link($"{home}/driver", "../../../bus/pci/drivers/i915")
            .Link("bus/pci/drivers/i915/module", "../../../../module/i915").Text("module/i915/version", "1.6.0\n");
        return tree.Link(Pci(address), $"../../../{home}");
    }

    /// <param name="version">null: the type has no such attribute.</param>
    internal static FuseTree AddType(
        this FuseTree tree, string address, string type, Func<FuseAnswer>? version = null, Func<byte[], int>? check = null)
    {
        string home = $"devices/pci0000:00/{address}/mdev_supported_types/{type}";
        tree.Text($"{home}/name", $"label of {type}\n").Text($"{home}/description", "low_gm_size: 64MB\nfence: 4\n")
            .Text($"{home}/device_api", "vfio-pci\n").Text($"{home}/available_instances", "3\n")
            .Link($"class/mdev_bus/{address}", $"../../devices/pci0000:00/{address}");
        return version is null ? tree : tree.Attribute($"{home}/version", version, check);
    }

    internal static FuseTree AddType(this FuseTree tree, string address, string type, SampleVersionDriver driver) =>
        tree.AddType(address, type, driver.Show, driver.Store);

    internal static FuseTree AddMdev(this FuseTree tree, string address, string uuid, string type)
    {
        string home = $"devices/pci0000:00/{address}/{uuid}";
        return tree.Link($"{home}/mdev_type", $"../mdev_supported_types/{type}")
            .Link($"{home}/iommu_group", "../../../../kernel/iommu_groups/12")
            .Link($"bus/mdev/devices/{uuid}", $"../../../{home}");
    }

    /// <summary>BAR 0 of 16 MiB, prefetchable BAR 2 of 256 MiB, I/O BAR 4 of 64 bytes, the ROM, and an SR-IOV line.</summary>
    internal const string Resource = """
        0x00000000f6000000 0x00000000f6ffffff 0x0000000000140204
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x00000000e0000000 0x00000000efffffff 0x000000000014220c
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x000000000000f000 0x000000000000f03f 0x0000000000040101
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x00000000000c0000 0x00000000000dffff 0x0000000000000212
        0x00000000f7000000 0x00000000f7ffffff 0x0000000000140204

        """;

    /// <summary>Capabilities: MSI (5) at 0x90, power management (1) at 0xd0; extended: ATS (0xf) at 0x100, PASID (0x1b) at
    /// 0x200.</summary>
    internal static byte[] Config()
    {
        byte[] config = new byte[4096];
        config[0x06] = 0x10;
        config[0x34] = 0x90;
        (config[0x90], config[0x91]) = (0x05, 0xd0);
        config[0xd0] = 0x01;
        (config[0x100], config[0x102], config[0x103]) = (0x0f, 0x01, 0x20);
        (config[0x200], config[0x202]) = (0x1b, 0x01);
        return config;
    }
}
