namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>
/// What a descriptor may hold. Far above any real device, and low enough that a hostile one costs a few megabytes at most: the text is
/// bounded before it is parsed, and each list before it grows.
/// </summary>
public static class DescriptorLimits
{
    public const int Bytes = 1 << 20;
    public const int Depth = 16;

    public const int Regions = 64;
    public const int Interrupts = 64;
    public const int ConfigCapabilities = 256;
    public const int Parameters = 1024;
    public const int SupportedValues = 1024;
    public const int StreamFormats = 64;
    public const int Sections = 256;

    /// <summary>Descriptions of the device itself; one is usual.</summary>
    public const int SelfSets = 16;

    /// <summary>A vendor enumerates every source he takes.</summary>
    public const int CompatibleSets = 4096;
    public const int Attributes = 64;

    /// <summary>Fields of one object that this version does not know.</summary>
    public const int UnknownFields = 64;

    /// <summary>Characters of a name.</summary>
    public const int Name = 256;

    /// <summary>Characters of a value or a version string: a sysfs attribute is a page.</summary>
    public const int Text = 4096;

    public const int Index = ushort.MaxValue;
    public const int InterruptCount = 1 << 16;
}
