using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Devices;

/// <summary>
/// What a guest process serves for each device: the device itself plus our vfio-user extension
/// (docs/vfio-user-extension.md). The guest process implements it; the daemon's client implements it too, over the socket.
/// </summary>
/// <remarks>
/// A session is bound to (guest, epoch, term); an equal or higher pair pre-empts an older session, an older one is
/// refused with EPERM. Disconnecting is harmless: state, mappings, logs, retained bytes and digests stay.
/// </remarks>
public interface IMigrationEndpoint : IMigratableDevice
{
    /// <summary>Binds this session. Every command that changes or moves something needs a bound session; what only asks
    /// (setup record and check, digests, pre-copy bytes, memory layout, fence, state) and region access do not.</summary>
    /// <exception cref="DeviceRefusedException">EPERM: a newer session exists, or another guest lives here.</exception>
    ValueTask BindAsync(GuestName guest, Fence fence, CancellationToken cancellationToken);

    /// <summary>The setup record of save_setup, UTF-8 JSON (<see cref="SetupRecord"/>).</summary>
    ValueTask<SetupRecord> GetSetupRecordAsync(CancellationToken cancellationToken);

    /// <summary>Puts a source device's setup record to this (destination) device.</summary>
    ValueTask<Verdict> CheckSetupAsync(SetupRecord source, CancellationToken cancellationToken);

    /// <summary>Moves what was logged into the unacknowledged set and reads that whole set. Without an acknowledgement the
    /// same pages come again, with whatever was dirtied since.</summary>
    /// <param name="pages">gets the pages added; numbered by the guest's <see cref="GuestMemoryLayout"/>.</param>
    /// <returns>the report's sequence number, which grows.</returns>
    ValueTask<ulong> ReadDirtyAsync(PageBitmap pages, CancellationToken cancellationToken);

    /// <summary>The destination holds every page of report <paramref name="sequence"/>, which must be the last one read.</summary>
    ValueTask AckDirtyAsync(ulong sequence, CancellationToken cancellationToken);

    /// <summary>Reads the state stream at an offset: retained bytes again, or new ones from the device at the end.</summary>
    /// <returns>bytes read; 0: end of data, in PreCopy drained for now.</returns>
    /// <exception cref="DeviceRefusedException">EAGAIN: the retained window is full, acknowledge first; EINVAL: offset already released.</exception>
    ValueTask<int> ReadStreamAsync(ulong offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Releases retained bytes before <paramref name="offset"/>.</summary>
    ValueTask AckStreamAsync(ulong offset, CancellationToken cancellationToken);

    /// <summary>Loads stream bytes; bytes before the accepted offset are skipped, a gap is refused with EINVAL.</summary>
    ValueTask WriteStreamAsync(ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>Length and digest of the stream so far: read from the device (source) or accepted by it (destination).</summary>
    ValueTask<StreamDigest> GetStreamDigestAsync(CancellationToken cancellationToken);

    /// <summary>A checksum over the device's migratable content, for devices that can tell; stopped devices only.</summary>
    ValueTask<ulong?> GetContentDigestAsync(CancellationToken cancellationToken);
}

/// <summary>The machine's endpoint: its device state runs and pauses the vCPUs, its mappable regions are guest RAM.</summary>
public interface IMachineEndpoint : IMigrationEndpoint
{
    /// <summary>Guest RAM's windows; window i is mappable region <c>1 + i</c>.</summary>
    ValueTask<GuestMemoryLayout> GetMemoryLayoutAsync(CancellationToken cancellationToken);

    ValueTask<FenceRecord> ReadFenceAsync(CancellationToken cancellationToken);

    /// <summary>Casts a vote durably (fsync before the answer).</summary>
    /// <exception cref="DeviceRefusedException">EPERM with the reason: the record excludes this vote.</exception>
    ValueTask<FenceRecord> CastVoteAsync(Vote vote, string? digest, CancellationToken cancellationToken);

    /// <summary>How long a paused machine that has not yielded waits before it keeps itself: Kept, devices back
    /// to Running, resume, with no daemon at all. Set before the pause.</summary>
    ValueTask SetPauseDeadlineAsync(TimeSpan deadline, CancellationToken cancellationToken);

    /// <summary>Slows the vCPUs by a share of their time, until told otherwise, until they are paused or the guest is kept, or until the
    /// lease has run out: nobody may be left to lift it.</summary>
    /// <param name="percent">0 to 99.</param>
    /// <exception cref="DeviceRefusedException">EINVAL: a guest process that cannot.</exception>
    ValueTask ThrottleVcpusAsync(int percent, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>Leaves a device behind that does not come back to Running: every P2P mapping of it is removed, in either direction, and the
    /// machine does not wait for it. Never undone while the guest process lives.</summary>
    /// <exception cref="DeviceRefusedException">ENOENT: no such device; EINVAL: a guest process that cannot.</exception>
    ValueTask IsolateDeviceAsync(DeviceName device, CancellationToken cancellationToken);

    /// <summary>Ends the guest process and its device servers in good order. Answers before it exits.</summary>
    ValueTask ShutDownAsync(CancellationToken cancellationToken);
}

/// <param name="Bytes">stream length.</param>
/// <param name="Crc32C">CRC-32C over all of it.</param>
public readonly record struct StreamDigest(ulong Bytes, uint Crc32C);
