using System.Globalization;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Relay;

/// <summary>Setup records of devices: what one says of itself, and whether another takes its state.</summary>
internal static class DeviceSetup
{
    public static SetupRecord Describe(LaunchDevice launch, DeviceShape shape, MigrationCapabilities capabilities)
    {
        string format = DeviceModels.StreamFormat(launch.Model);
        return new SetupRecord(
            launch.Name, launch.Model, ShapeOf(shape), (ulong)capabilities,
            DeviceModels.Check(launch.Model, launch.Parameters).Effective, VersionString: null, [format], [format]);
    }

    public static IReadOnlyList<string> ShapeOf(DeviceShape shape) =>
    [
        .. shape.Regions.OrderBy(region => region.Index).Select(region => $"{region.Index}:{region.SizeBytes}"),
        .. shape.Interrupts.OrderBy(interrupt => interrupt.Index).Select(interrupt => $"irq{interrupt.Index}:{interrupt.Count}"),
    ];

    /// <summary>Every reason why <paramref name="own"/> does not take the state of <paramref name="source"/>.</summary>
    public static IReadOnlyList<SetupMismatch> Compare(SetupRecord source, SetupRecord own)
    {
        var found = new List<SetupMismatch>();
        void Differ(string code, string expected, string actual, string remedy) =>
            found.Add(new SetupMismatch(code, expected, actual, remedy));

        if (source.Device != own.Device)
            Differ("device.name-mismatch", source.Device, own.Device, "put the record to the device of the same name");
        if (source.Model != own.Model)
            Differ("device.model-mismatch", source.Model, own.Model, "use a template of the same model at the destination");
        foreach (var (name, value) in source.Parameters)
        {
            if (!own.Parameters.TryGetValue(name, out string? actual))
                Differ("device.parameter-missing", $"{name}={value}", "absent", $"give the destination's template '{name}'");
            else if (actual != value)
                Differ("device.parameter-mismatch", $"{name}={value}", $"{name}={actual}", $"set '{name}' to {value} in the destination's template");
        }
        foreach (var (name, value) in own.Parameters)
            if (!source.Parameters.ContainsKey(name))
                Differ("device.parameter-unexpected", "absent", $"{name}={value}", $"remove '{name}' from the destination's template");
        if (!source.Shape.SequenceEqual(own.Shape))
            Differ("device.shape-mismatch", string.Join(' ', source.Shape), string.Join(' ', own.Shape), "use a device with the same regions and interrupts");
        // P2P and STOP_COPY of the source are how its group is moved; the destination must be able to do the same backwards.
        if ((source.Capabilities & ~own.Capabilities) is var missing and not 0)
            Differ("device.capability-missing", Flags(source.Capabilities), Flags(own.Capabilities),
                $"use a device that can do {Flags(missing)}");
        if (source.VersionString != own.VersionString)
            Differ("device.version-mismatch", source.VersionString ?? "none", own.VersionString ?? "none", "use a device of the same version");
        foreach (string format in source.StreamFormatsWritten)
            if (!own.StreamFormatsRead.Contains(format))
                Differ("device.stream-format-unknown", format, string.Join(' ', own.StreamFormatsRead), $"upgrade the destination to a device that reads {format}");
        return found;
    }

    private static string Flags(ulong capabilities) =>
        ((MigrationCapabilities)capabilities).ToString("G").ToString(CultureInfo.InvariantCulture);
}
