using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>The file behind a mappable region of a server. Owned by the client that got it.</summary>
/// <param name="Offset">where in the file the region starts, in bytes.</param>
/// <param name="Areas">which parts of the region may be mapped; offsets within the region.</param>
public sealed record RegionFile(SafeFileHandle File, ulong Offset, IReadOnlyList<SparseArea> Areas);
