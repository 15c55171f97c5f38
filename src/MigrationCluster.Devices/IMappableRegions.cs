using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices;

/// <summary>A device whose mappable regions lie in files: a server hands their descriptors to its clients.</summary>
public interface IMappableRegions
{
    /// <summary>The file behind a whole region, owned by the device; null: this region cannot be mapped.</summary>
    /// <param name="offset">where in the file the region starts, in bytes, a multiple of the page size.</param>
    SafeFileHandle? RegionFile(int region, out ulong offset);
}
