namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>Descriptors and their parts as content that <see cref="ContentKeys"/> numbers.</summary>
internal static class DescriptorContent
{
    internal static void WriteWhole(ContentKeys keys, DeviceDescriptor of)
    {
        keys.Write((ulong)of.Kind);
        keys.Write(of.Model);
        keys.Write(of.VersionString);
        keys.Write(of.Driver is null ? 0UL : 1);
        keys.Write(of.Driver?.Name);
        keys.Write(of.Driver?.Version);
        WriteVersion(keys, of);
        WriteLists(keys, of);
        WriteShape(keys, of);
        WriteFormats(keys, of);
        WriteSections(keys, of);
        WriteCapabilities(keys, of);
        keys.Write((ulong)of.Parameters.Count);
        foreach (var parameter in of.Parameters) WriteParameter(keys, parameter);
    }

    internal static void WriteParameter(ContentKeys keys, ParameterDescriptor parameter)
    {
        keys.Write(parameter.Name);
        keys.Write((ulong)parameter.Type);
        keys.Write((ulong)parameter.Comparator);
        keys.Write(parameter.Value);
        keys.Write(parameter.Off);
        keys.Write(parameter.Supported is null ? 0UL : 1);
        if (parameter.Supported is not { } supported) return;
        WriteOptional(keys, supported.Minimum);
        WriteOptional(keys, supported.Maximum);
        keys.Write(supported.Values is null ? 0UL : 1);
        if (supported.Values is { } values) keys.Write(values);
    }

    internal static void WriteLists(ContentKeys keys, DeviceDescriptor of)
    {
        keys.Write(of.Lists is null ? 0UL : 1);
        if (of.Lists is not { } lists) return;
        WriteSets(keys, lists.Self);
        WriteSets(keys, lists.Compatible);
    }

    internal static void WriteShape(ContentKeys keys, DeviceDescriptor of)
    {
        keys.Write(of.Identity is null ? 0UL : 1);
        if (of.Identity is { } identity)
            keys.Write((ulong)identity.Vendor << 48 | (ulong)identity.Device << 32 | (ulong)identity.SubsystemVendor << 16 | identity.Subsystem);
        keys.Write((ulong)of.Regions.Count);
        foreach (var region in of.Regions)
        {
            keys.Write((uint)region.Index);
            keys.Write(region.SizeBytes);
            keys.Write((region.Readable ? 1UL : 0) | (region.Writable ? 2UL : 0) | (region.Mappable ? 4UL : 0));
        }
        keys.Write((ulong)of.Interrupts.Count);
        foreach (var interrupt in of.Interrupts)
        {
            keys.Write((uint)interrupt.Index);
            keys.Write((uint)interrupt.Count);
        }
        keys.Write((ulong)of.ConfigCapabilities.Count);
        foreach (int capability in of.ConfigCapabilities) keys.Write((uint)capability);
    }

    internal static void WriteFormats(ContentKeys keys, DeviceDescriptor of)
    {
        keys.Write(of.StreamFormatsWritten);
        keys.Write(of.StreamFormatsRead);
    }

    internal static void WriteSections(ContentKeys keys, DeviceDescriptor of)
    {
        keys.Write((ulong)of.SectionsWritten.Count);
        foreach (var section in of.SectionsWritten)
        {
            keys.Write(section.Name);
            keys.Write((section.Required ? 1UL : 0) | (section.Rare ? 2UL : 0));
        }
        keys.Write(of.SectionsRead);
    }

    internal static void WriteCapabilities(ContentKeys keys, DeviceDescriptor of) =>
        WriteOptional(keys, (ulong?)of.Capabilities);

    private static void WriteVersion(ContentKeys keys, DeviceDescriptor of)
    {
        keys.Write(of.InterfaceVersion is null ? 0UL : 1);
        var version = of.InterfaceVersion.GetValueOrDefault();
        keys.Write((uint)version.Major);
        keys.Write((uint)version.Minor);
        keys.Write((uint)version.Bugfix);
    }

    private static void WriteSets(ContentKeys keys, IReadOnlyList<IReadOnlyDictionary<string, string>> sets)
    {
        keys.Write((ulong)sets.Count);
        foreach (var set in sets)
        {
            keys.Write((ulong)set.Count);
            foreach (var (name, value) in set)
            {
                keys.Write(name);
                keys.Write(value);
            }
        }
    }

    private static void WriteOptional(ContentKeys keys, ulong? number)
    {
        keys.Write(number is null ? 0UL : 1);
        keys.Write(number.GetValueOrDefault());
    }
}
