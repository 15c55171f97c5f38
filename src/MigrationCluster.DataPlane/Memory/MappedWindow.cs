using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.DataPlane.Memory;

/// <summary>One window of guest RAM as it is mapped into this process.</summary>
/// <param name="Base">address of the window's first byte; the mapping is shared and covers the whole window.</param>
/// <param name="File">the memfd behind the mapping, to find holes; borrowed.</param>
/// <param name="FileOffset">where the window begins in the file, in bytes.</param>
public readonly record struct MappedWindow(nint Base, SafeFileHandle File, ulong FileOffset);
