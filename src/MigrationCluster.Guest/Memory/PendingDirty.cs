using MigrationCluster.Devices;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Memory;

/// <summary>Dirty pages that were read from a log and not yet acknowledged: read again until they are.</summary>
/// <remarks>Not safe for concurrent use.</remarks>
internal sealed class PendingDirty(long pageCount)
{
    private ulong _sequence;

    /// <summary>Where a log's marks are moved to before <see cref="Report"/>.</summary>
    public PageBitmap Pages { get; } = new(pageCount);

    public bool IsOpen { get; private set; }

    public void Open()
    {
        Pages.Clear();
        IsOpen = true;
    }

    public void Close()
    {
        Pages.Clear();
        IsOpen = false;
    }

    /// <summary>Adds all pending pages to a caller's set.</summary>
    /// <returns>the report's number.</returns>
    public ulong Report(PageBitmap pages)
    {
        pages.Or(Pages);
        return ++_sequence;
    }

    /// <exception cref="DeviceRefusedException">EINVAL: not the last report.</exception>
    public void Acknowledge(ulong sequence)
    {
        if (sequence != _sequence || sequence == 0)
            throw new DeviceRefusedException($"dirty report {sequence} is not the last one, {_sequence}", Errno.EINVAL);
        Pages.Clear();
    }

    /// <exception cref="DeviceRefusedException">EINVAL: no log, or a set of another size.</exception>
    public void Check(PageBitmap pages)
    {
        if (!IsOpen) throw new DeviceRefusedException("dirty logging is not started", Errno.EINVAL);
        if (pages.PageCount != Pages.PageCount)
            throw new DeviceRefusedException($"a set of {pages.PageCount} pages does not fit guest RAM of {Pages.PageCount}", Errno.EINVAL);
    }
}
