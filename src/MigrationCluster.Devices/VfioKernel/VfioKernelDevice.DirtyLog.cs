using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>Who says what a device's DMA wrote. The first that works is taken, each tried by starting it.</summary>
public enum DirtySource
{
    None,

    /// <summary>The device itself (DMA_LOGGING): what it wrote.</summary>
    Device,

    /// <summary>The IOMMU's page tables: what was written through them.</summary>
    Iommu,

    /// <summary>Nobody can tell: every page counts as written, each time it is asked.</summary>
    Everything,
}

/// <summary>The dirty log.</summary>
/// <remarks>
/// A driver may say yes to the probe and to START and still answer EOPNOTSUPP to REPORT (every kernel without iommufd), so a first report
/// is part of starting. Ranges are fixed at START: when windows change, the log is started anew, and what was written between counts as all.
/// </remarks>
public sealed partial class VfioKernelDevice
{
    private int _logPageSizeBytes;

    public DirtySource DirtySource { get; private set; }

    public ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pageSizeBytes);
        lock (_sync)
        {
            Require(DeviceAction.DirtyReport, "logging DMA");
            if (DirtySource != DirtySource.None && _logPageSizeBytes == pageSizeBytes) return ValueTask.CompletedTask;
            StopLog();
            _logPageSizeBytes = pageSizeBytes;
            StartLog();
            _log($"DMA is logged by {DirtySource}");
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask StopDirtyLogAsync(CancellationToken cancellationToken)
    {
        lock (_sync) StopLog();
        return ValueTask.CompletedTask;
    }

    public ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            Require(DeviceAction.DirtyReport, "reading the DMA log");
            if (DirtySource == DirtySource.None) throw KernelRefusals.OutOfRange(Id, "no DMA log was started", "a log that runs");
            var window = Find(start, sizeBytes);
            ulong pages = (sizeBytes + (ulong)_logPageSizeBytes - 1) / (ulong)_logPageSizeBytes;
            int bytes = (int)((pages + 63) / 64 * 8);
            if (bitmap.Length < bytes) throw new ArgumentException($"a bitmap of {bitmap.Length} bytes for {pages} pages");
            var bits = bitmap.Span[..bytes];
            if (window.OwesEverything || DirtySource == DirtySource.Everything)
            {
                SetAll(bits, pages);
                window.OwesEverything = false;
            }
            if (DirtySource != DirtySource.Everything) Check(Report(start, sizeBytes, bits), "reading the DMA log");
        }
        return ValueTask.CompletedTask;
    }

    private void OnWindowsChanged()
    {
        // The IOMMU's log covers windows that are mapped later; the device's own does not.
        if (DirtySource == DirtySource.Device)
        {
            foreach (var window in _windows) window.OwesEverything = true;
            StopLog();
            StartLog();
        }
    }

    private void StartLog()
    {
        DirtySource = TryDeviceLog() ? DirtySource.Device
            : _space.StartDirtyLog() >= 0 ? TryIommuLog()
            : DirtySource.Everything;
    }

    private bool TryDeviceLog()
    {
        if (_windows.Count == 0 || VfioUapi.ProbeDmaLogging(_device) < 0) return false;
        var ranges = _windows.Select(window => new VfioUapi.LoggedRange { Iova = window.Start.Value, Length = window.SizeBytes }).ToArray();
        if (VfioUapi.StartDmaLogging(_device, (ulong)_logPageSizeBytes, ranges) < 0) return false;
        if (ReportsWork((start, size, bits) => VfioUapi.ReportDmaLogging(_device, start.Value, size, (ulong)_logPageSizeBytes, bits))) return true;
        _ = VfioUapi.StopDmaLogging(_device);
        return false;
    }

    private DirtySource TryIommuLog()
    {
        if (ReportsWork((start, size, bits) => _space.ReportDirty(start, size, _logPageSizeBytes, bits))) return DirtySource.Iommu;
        _ = _space.StopDirtyLog();
        return DirtySource.Everything;
    }

    private delegate int Reporter(Iova start, ulong sizeBytes, Span<byte> bitmap);

    /// <summary>A first report clears what it reads: what it held is owed.</summary>
    private bool ReportsWork(Reporter report)
    {
        if (_windows is not [var window, ..]) return true;
        byte[] bits = new byte[(window.SizeBytes / (ulong)_logPageSizeBytes + 64) / 64 * 8];
        if (report(window.Start, window.SizeBytes, bits) < 0) return false;
        if (bits.AsSpan().IndexOfAnyExcept((byte)0) >= 0) window.OwesEverything = true;
        return true;
    }

    private int Report(Iova start, ulong sizeBytes, Span<byte> bits) => DirtySource == DirtySource.Device
        ? VfioUapi.ReportDmaLogging(_device, start.Value, sizeBytes, (ulong)_logPageSizeBytes, bits)
        : _space.ReportDirty(start, sizeBytes, _logPageSizeBytes, bits);

    private void StopLog()
    {
        int result = DirtySource switch
        {
            DirtySource.Device => VfioUapi.StopDmaLogging(_device),
            DirtySource.Iommu => _space.StopDirtyLog(),
            _ => 0,
        };
        DirtySource = DirtySource.None;
        Check(result, "stopping the DMA log");
    }

    private static void SetAll(Span<byte> bits, ulong pages)
    {
        bits[..(int)(pages / 8)].Fill(0xFF);
        for (ulong page = pages / 8 * 8; page < pages; page++) bits[(int)(page / 8)] |= (byte)(1 << (int)(page % 8));
    }
}
