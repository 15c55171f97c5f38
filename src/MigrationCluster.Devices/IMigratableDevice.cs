using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices;

/// <summary>
/// One device that follows the VFIO migration model, wherever it lives: an emulated model in this process, a
/// vfio-user server, a relay in a guest process, or a device of the kernel. Every implementation passes one contract suite.
/// </summary>
/// <remarks>
/// Nothing defaults to success: what a device cannot do throws <see cref="DeviceRefusedException"/> (it said no, with an errno).
/// A device that does not answer in time, or whose connection broke, throws <see cref="DeviceLostException"/>.
/// One caller at a time for state changes and migration data; region access may come from another thread.
/// </remarks>
public interface IMigratableDevice : IAsyncDisposable
{
    /// <summary>Regions and interrupts, read once from the device itself.</summary>
    DeviceShape Shape { get; }

    /// <summary>Migration capabilities as the device answers a probe; <c>None</c> means not migratable.</summary>
    ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken);

    ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken);

    /// <summary>Asks for one state. The device walks the shortest path; the task ends after the last arc.</summary>
    /// <exception cref="DeviceRefusedException">the arc is not allowed, or the device failed on the way: it rests in
    /// an intermediate state or in Error; ask <see cref="GetStateAsync"/>.</exception>
    ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken);

    /// <summary>Reads the next bytes of the state stream (PreCopy, PreCopyP2P, StopCopy).</summary>
    /// <returns>the number of bytes; 0 is the end of data, in PreCopy "drained for now".</returns>
    ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Writes the next bytes of a state stream; Resuming only. All of them or an exception.</summary>
    /// <remarks>After a failure only <see cref="ResetAsync"/> is allowed: the device is half loaded.</remarks>
    ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>Initial and dirty bytes still to read in PreCopy; null where the device cannot tell.</summary>
    ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken);

    /// <summary>Starts logging DMA writes. Windows mapped later are logged too.</summary>
    ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken);

    ValueTask StopDirtyLogAsync(CancellationToken cancellationToken);

    /// <summary>Reads and clears the log of one mapped window. Bit k of <paramref name="bitmap"/> is page
    /// <c>start + k * page size</c>; set bits are added, none is cleared.</summary>
    /// <param name="bitmap">at least one bit a page, rounded up to 8 bytes.</param>
    ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken);

    ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken);

    ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken);

    /// <summary>Makes a window reachable for the device's DMA. Not in Stop or StopCopy.</summary>
    ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken);

    ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken);

    /// <summary>Binds eventfds to consecutive vectors of one interrupt index, or unbinds all when none is given.</summary>
    ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken);

    /// <summary>Back to power-on values; out of Error, to Running.</summary>
    ValueTask ResetAsync(CancellationToken cancellationToken);
}

/// <param name="InitialBytes">bytes that must be loaded before a switchover makes sense.</param>
/// <param name="DirtyBytes">bytes that changed since they were last read.</param>
public readonly record struct PreCopyBytes(ulong InitialBytes, ulong DirtyBytes);

public sealed record DeviceShape(bool CanReset, IReadOnlyList<RegionShape> Regions, IReadOnlyList<InterruptShape> Interrupts);

/// <param name="Index">VFIO index: 0-5 BAR, 6 ROM, 7 config space, 8 VGA.</param>
/// <param name="SizeBytes">0: absent.</param>
public sealed record RegionShape(int Index, ulong SizeBytes, bool Readable, bool Writable, bool Mappable);

/// <param name="Index">VFIO index: 0 INTx, 1 MSI, 2 MSI-X, 3 ERR, 4 REQ.</param>
public sealed record InterruptShape(int Index, int Count);

/// <summary>A DMA window. With a descriptor the device maps it; without, its accesses come back to <see cref="Target"/>.</summary>
/// <param name="File">memory to map, borrowed for the call; null: message-based.</param>
/// <param name="Target">required when <paramref name="File"/> is null: where DMA_READ and DMA_WRITE end up.</param>
public sealed record DmaWindow(
    Iova Start, ulong SizeBytes, bool Readable, bool Writable, SafeFileHandle? File, ulong FileOffset, IDmaTarget? Target);

/// <summary>Takes a device's DMA that no mapped memory covers, such as a peer's BAR.</summary>
public interface IDmaTarget
{
    /// <exception cref="DeviceRefusedException">nothing there takes the access now.</exception>
    ValueTask ReadAsync(Iova address, Memory<byte> destination, CancellationToken cancellationToken);

    /// <exception cref="DeviceRefusedException">nothing there takes the access now.</exception>
    ValueTask WriteAsync(Iova address, ReadOnlyMemory<byte> source, CancellationToken cancellationToken);
}
