using System.Globalization;

namespace MigrationCluster.Protocol.Memory;

/// <summary>A guest-physical address, in bytes.</summary>
public readonly record struct Gpa(ulong Value)
{
    public override string ToString() => "0x" + Value.ToString("x", CultureInfo.InvariantCulture);
}

/// <summary>An address as a device's DMA sees it, in bytes. Equal to the GPA everywhere in this project.</summary>
public readonly record struct Iova(ulong Value)
{
    public override string ToString() => "0x" + Value.ToString("x", CultureInfo.InvariantCulture);
}
