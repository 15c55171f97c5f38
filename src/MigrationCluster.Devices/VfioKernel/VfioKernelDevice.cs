using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>A device of this host's kernel, over the VFIO uAPI (linux/vfio.h): opening, registers, interrupts, DMA windows.</summary>
/// <remarks>
/// The process that opens it owns it: the kernel gives it to nobody else. Features are probed, never assumed. Closing does not reset a
/// device, so whoever opens it finds what the last owner left: it is reset unless it is Running.
/// Regions are not handed out for mapping. The calls block as long as the driver takes.
/// </remarks>
public sealed partial class VfioKernelDevice : IMigratableDevice, IDescribedDevice
{
    private const int ConfigSpace = 7;
    private const int ConfigBytes = 256;
    private const int RequestInterrupt = 3; // from ERR on they are the host's, not the guest's

    private readonly KernelDeviceNode _node;
    private readonly KernelFile _device;
    private readonly IKernelDmaSpace _space;
    private readonly Action<string> _log;
    private readonly Lock _sync = new();
    private readonly List<Window> _windows = [];
    private readonly HashSet<int> _boundInterrupts = [];
    private Dictionary<int, ulong> _regionOffsets = [];
    private MigrationCapabilities _capabilities;

    private VfioKernelDevice(KernelDeviceNode node, KernelFile device, IKernelDmaSpace space, Action<string> log)
    {
        (_node, _device, _space, _log) = (node, device, space, log);
    }

    /// <summary>A window, and the memory behind it mapped into this process for the kernel's IOMMU.</summary>
    private sealed record Window(Iova Start, ulong SizeBytes, MappedMemory Memory)
    {
        public bool OwesEverything { get; set; }
    }

    public string Id => _node.Id;

    /// <summary>How it was opened: group N, or iommufd.</summary>
    public string OpenedBy => _space.Name;

    /// <summary>The mediated type's id; null: a PCI function.</summary>
    public string? MediatedType => _node.MediatedType;

    public DeviceShape Shape { get; private set; } = new(false, [], []);

    /// <param name="id">UUID of a mediated device, or address of a PCI function.</param>
    /// <param name="log">told each step: one line.</param>
    /// <exception cref="KernelRefusedException">it cannot be opened: which step, and what to do.</exception>
    public static async Task<VfioKernelDevice> OpenAsync(
        string id, VfioKernelOptions? options = null, Action<string>? log = null, CancellationToken cancellationToken = default)
    {
        options ??= VfioKernelOptions.Default;
        log ??= _ => { };
        log($"opens {id}");
        var node = KernelDeviceNode.Find(options.Sysfs, id);
        log($"{node.MediatedType ?? "PCI function"} of driver {node.Driver ?? "unknown"}, IOMMU group {node.Group?.ToString(null, null) ?? "none"}, cdev {node.CharacterDevice ?? "none"}");
        var (file, space) = await new KernelDeviceOpening(node, options, log).OpenAsync(cancellationToken);
        var device = new VfioKernelDevice(node, file, space, log);
        try
        {
            device.ReadShape();
            device.ReadCapabilities();
            device.ResetWhatWasLeft();
            return device;
        }
        catch
        {
            await device.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_sync)
        {
            _data?.Dispose();
            _data = null;
            _device.Dispose();
            // The container ends with its last file, and its mappings with it; only then is the memory let go.
            _space.Dispose();
            foreach (var window in _windows) window.Memory.Dispose();
            _windows.Clear();
        }
        return ValueTask.CompletedTask;
    }

    private void ReadShape()
    {
        Check(VfioUapi.GetInfo(_device, out var info), "DEVICE_GET_INFO");
        var regions = new List<RegionShape>();
        for (int index = 0; index < info.Regions; index++)
        {
            // An index that a driver does not have is refused, or has no size.
            if (VfioUapi.GetRegion(_device, index, out var region) < 0 || region.Size == 0) continue;
            _regionOffsets[index] = region.Offset;
            regions.Add(new RegionShape(
                index, region.Size, (region.Flags & VfioUapi.RegionInfo.ReadFlag) != 0,
                (region.Flags & VfioUapi.RegionInfo.WriteFlag) != 0, Mappable: false));
        }
        var interrupts = new List<InterruptShape>();
        for (int index = 0; index < info.Interrupts; index++)
            if (VfioUapi.GetInterrupt(_device, index, out var interrupt) >= 0 && interrupt.Count > 0
                && (interrupt.Flags & VfioUapi.InterruptInfo.EventFdFlag) != 0)
                interrupts.Add(new InterruptShape(index, (int)interrupt.Count));
        Shape = new DeviceShape((info.Flags & VfioUapi.DeviceInfo.ResetFlag) != 0, regions, interrupts);
        _log($"regions {string.Join(' ', regions.Select(region => $"{region.Index}:{region.SizeBytes}"))}, "
            + $"interrupts {string.Join(' ', interrupts.Select(interrupt => $"{interrupt.Index}:{interrupt.Count}"))}, "
            + (Shape.CanReset ? "can be reset" : "without the flag for reset"));
    }

    // Regions.

    public ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        ulong at = Locate(region, offset, destination.Length, write: false);
        for (int done = 0; done < destination.Length;)
            done += Took(_device.ReadAt(destination.Span[done..], at + (ulong)done), region);
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        ulong at = Locate(region, offset, source.Length, write: true);
        for (int done = 0; done < source.Length;)
            done += Took(_device.WriteAt(source.Span[done..], at + (ulong)done), region);
        return ValueTask.CompletedTask;
    }

    private ulong Locate(int index, ulong offset, int length, bool write)
    {
        var region = Shape.Regions.FirstOrDefault(region => region.Index == index)
            ?? throw KernelRefusals.OutOfRange(Id, $"there is no region {index}", $"one of {string.Join(", ", Shape.Regions.Select(r => r.Index))}");
        if (offset > region.SizeBytes || (ulong)length > region.SizeBytes - offset)
            throw KernelRefusals.OutOfRange(
                Id, $"region {index} has no {length} bytes at {offset}", $"an access within its {region.SizeBytes} bytes");
        if (!(write ? region.Writable : region.Readable))
            throw KernelRefusals.OutOfRange(Id, $"region {index} is not {(write ? "writable" : "readable")}", "another region");
        // Config space is the host's own view of the device: it is restored while the device stands still. Its registers are not touched then.
        if (index != ConfigSpace) Require(DeviceAction.RegisterAccess, $"access to region {index}");
        return _regionOffsets[index] + offset;
    }

    private int Took(nint result, int region) => result > 0
        ? (int)result
        : throw KernelRefusals.Call(Id, _state, $"access to region {region}", result == 0 ? Errno.EIO : (int)-result);

    // Interrupts.

    /// <remarks>Of INTx, MSI and MSI-X a device has one at a time: vfio-pci and mtty refuse a second.</remarks>
    public ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            Require(DeviceAction.InterruptSetup, "setting up interrupts");
            int vectors = Shape.Interrupts.FirstOrDefault(interrupt => interrupt.Index == index)?.Count ?? 0;
            if (eventFds.Count > vectors)
                throw KernelRefusals.OutOfRange(Id, $"interrupt {index} has no {eventFds.Count} vectors", $"at most {vectors}");
            // Nothing bound, nothing to unbind: drivers answer EINVAL to that.
            if (eventFds.Count == 0 && !_boundInterrupts.Contains(index)) return ValueTask.CompletedTask;
            if (index < RequestInterrupt && _boundInterrupts.FirstOrDefault(bound => bound < RequestInterrupt && bound != index, -1) is >= 0 and var other
                && eventFds.Count > 0)
                throw new KernelRefusedException(
                    KernelOutcome.InterruptsBound, Id, _state, $"interrupt {index} cannot be bound while {other} is", "one of INTx, MSI and MSI-X at a time",
                    $"unbind interrupt {other} first", Errno.EBUSY);
            Check(SetInterrupts(index, eventFds), "SET_IRQS");
            if (eventFds.Count == 0) _boundInterrupts.Remove(index);
            else _boundInterrupts.Add(index);
        }
        return ValueTask.CompletedTask;
    }

    private int SetInterrupts(int index, IReadOnlyList<SafeFileHandle> eventFds)
    {
        int[] files = new int[eventFds.Count];
        int held = 0;
        try
        {
            for (; held < files.Length; held++)
            {
                bool added = false;
                eventFds[held].DangerousAddRef(ref added);
                files[held] = (int)eventFds[held].DangerousGetHandle();
            }
            return VfioUapi.SetInterrupts(_device, index, files);
        }
        finally
        {
            while (held > 0) eventFds[--held].DangerousRelease();
        }
    }

    // DMA windows.

    public unsafe ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            Require(DeviceAction.DmaMap, "mapping DMA windows");
            if (window.File is null)
                throw KernelRefusals.Unsupported(Id, $"the window at {window.Start} is no memory: a kernel device's DMA goes through the IOMMU only", Errno.EOPNOTSUPP);
            if (_windows.Find(other => Overlap(other, window)) is { } other)
                throw new KernelRefusedException(
                    KernelOutcome.OutOfRange, Id, _state, $"the window at {window.Start} overlaps the one at {other.Start}", "windows apart from each other",
                    "unmap the other first", Errno.EEXIST);
            var memory = MappedMemory.Map(window.File, window.FileOffset, (long)window.SizeBytes, window.Writable);
            int result = _space.Map((ulong)memory.Pointer, window.Start, window.SizeBytes, window.Readable, window.Writable);
            if (result < 0)
            {
                memory.Dispose();
                throw KernelRefusals.Call(Id, _state, $"mapping {window.SizeBytes} bytes at {window.Start}", -result);
            }
            _windows.Add(new Window(window.Start, window.SizeBytes, memory));
            OnWindowsChanged();
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            Require(DeviceAction.DmaMap, "unmapping DMA windows");
            var window = Find(start, sizeBytes);
            Check(_space.Unmap(start, sizeBytes), "unmapping");
            _windows.Remove(window);
            window.Memory.Dispose();
            OnWindowsChanged();
        }
        return ValueTask.CompletedTask;
    }

    private Window Find(Iova start, ulong sizeBytes) =>
        _windows.Find(window => window.Start == start && window.SizeBytes == sizeBytes) ?? throw new KernelRefusedException(
            KernelOutcome.OutOfRange, Id, _state, $"no window of {sizeBytes} bytes is mapped at {start}", "a window as it was mapped",
            "ask for a whole window", Errno.ENOENT);

    private static bool Overlap(Window old, DmaWindow window) =>
        old.Start.Value <= window.Start.Value + (window.SizeBytes - 1) && window.Start.Value <= old.Start.Value + (old.SizeBytes - 1);

    // IDescribedDevice

    /// <summary>Of a mediated device its type is the model: who made it names it, and equal types are one kind. A PCI function has no such
    /// name; whether another takes its state its vendor knows, and here nobody does.</summary>
    public async ValueTask<DeviceDescriptor> DescribeAsync(CancellationToken cancellationToken)
    {
        var (identity, capabilities) = PciIdentity.Read(await ReadConfigAsync(cancellationToken));
        return DescriptorShape.Of(DescriptorKind.Device, Shape) with
        {
            Identity = identity,
            ConfigCapabilities = capabilities,
            Driver = _node.Driver is { } driver ? new DriverDescriptor(driver, Environment.OSVersion.Version.ToString()) : null,
            Model = _node.MediatedType,
            VersionString = _node.Version?.Read() is Sysfs.VersionReading.Known known ? known.Text : null,
            Capabilities = _capabilities,
        };
    }

    public ValueTask CheckVersionAsync(string version, CancellationToken cancellationToken)
    {
        if (_node.Version is not { } attribute || attribute.Read() is not Sysfs.VersionReading.Known)
            throw KernelRefusals.Unsupported(Id, "it has no version attribute", Errno.EOPNOTSUPP);
        return attribute.Check(version) is Sysfs.VersionCheck.Compatible
            ? ValueTask.CompletedTask
            : throw new DeviceRefusedException($"{Id} does not take that version string", Errno.EINVAL);
    }

    private async ValueTask<byte[]> ReadConfigAsync(CancellationToken cancellationToken)
    {
        var region = Shape.Regions.FirstOrDefault(region => region.Index == ConfigSpace);
        if (region is not { Readable: true }) return [];
        byte[] config = new byte[Math.Min(region.SizeBytes, ConfigBytes)];
        await ReadRegionAsync(ConfigSpace, 0, config, cancellationToken);
        return config;
    }

    private void Require(DeviceAction action, string what)
    {
        if (!AllowedActions.Allows(BackEnd.Kernel, _state, action)) throw KernelRefusals.NotIn(Id, _state, what, action);
    }

    private int Check(int result, string call) => result >= 0 ? result : throw KernelRefusals.Call(Id, _state, call, -result);
}
