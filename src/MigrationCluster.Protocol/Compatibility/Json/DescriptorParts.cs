namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>The small objects of a descriptor.</summary>
internal static class DescriptorParts
{
    private static readonly string[] IdentityFields = ["vendor", "device", "subsystemVendor", "subsystem"];
    private static readonly string[] RegionFields = ["index", "sizeBytes", "readable", "writable", "mappable"];
    private static readonly string[] InterruptFields = ["index", "count"];
    private static readonly string[] DriverFields = ["name", "version"];
    private static readonly string[] VersionFields = ["major", "minor", "bugfix"];
    private static readonly string[] SectionFields = ["name", "required", "rare"];

    public static DeviceIdentity Identity(ref BoundedJsonReader json)
    {
        Span<ushort> ids = stackalloc ushort[IdentityFields.Length];
        var fields = json.BeginObject(IdentityFields, required: IdentityFields.Length);
        while (json.NextField(ref fields, out int field)) ids[field] = (ushort)json.Int32(0, ushort.MaxValue);
        return new DeviceIdentity(ids[0], ids[1], ids[2], ids[3]);
    }

    public static RegionDescriptor Region(ref BoundedJsonReader json)
    {
        var region = new RegionDescriptor(0, 0, false, false, false);
        var fields = json.BeginObject(RegionFields, required: RegionFields.Length);
        while (json.NextField(ref fields, out int field))
            region = field switch
            {
                0 => region with { Index = json.Int32(0, DescriptorLimits.Index) },
                1 => region with { SizeBytes = json.UInt64(1) },
                2 => region with { Readable = json.Boolean() },
                3 => region with { Writable = json.Boolean() },
                _ => region with { Mappable = json.Boolean() },
            };
        return region;
    }

    public static InterruptDescriptor Interrupt(ref BoundedJsonReader json)
    {
        var interrupt = new InterruptDescriptor(0, 0);
        var fields = json.BeginObject(InterruptFields, required: InterruptFields.Length);
        while (json.NextField(ref fields, out int field))
            interrupt = field == 0
                ? interrupt with { Index = json.Int32(0, DescriptorLimits.Index) }
                : interrupt with { Count = json.Int32(1, DescriptorLimits.InterruptCount) };
        return interrupt;
    }

    public static int ConfigCapability(ref BoundedJsonReader json) => json.Int32(0, int.MaxValue);

    public static DriverDescriptor Driver(ref BoundedJsonReader json)
    {
        var driver = new DriverDescriptor("", null);
        var fields = json.BeginObject(DriverFields, required: DriverFields.Length);
        while (json.NextField(ref fields, out int field))
            driver = field == 0
                ? driver with { Name = json.String(DescriptorLimits.Name) }
                : driver with { Version = json.IsNull ? null : json.String(DescriptorLimits.Name) };
        return driver;
    }

    public static InterfaceVersion Version(ref BoundedJsonReader json)
    {
        Span<int> numbers = stackalloc int[VersionFields.Length];
        var fields = json.BeginObject(VersionFields, required: VersionFields.Length);
        while (json.NextField(ref fields, out int field)) numbers[field] = json.Int32(0, int.MaxValue);
        return new InterfaceVersion(numbers[0], numbers[1], numbers[2]);
    }

    public static SectionDescriptor Section(ref BoundedJsonReader json)
    {
        var section = new SectionDescriptor("", Required: true);
        var fields = json.BeginObject(SectionFields, required: 2);
        while (json.NextField(ref fields, out int field))
            section = field switch
            {
                0 => section with { Name = json.String(DescriptorLimits.Name) },
                1 => section with { Required = json.Boolean() },
                _ => section with { Rare = json.Boolean() },
            };
        return section;
    }

    public static IReadOnlyList<string> Names(ref BoundedJsonReader json, int limit) =>
        json.List(limit, static (ref BoundedJsonReader element) => element.String(DescriptorLimits.Name), name => name);
}
