using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>
/// Every ioctl this back end makes: numbers and layouts from linux/vfio.h and linux/iommufd.h, which are the same on every 64-bit
/// Linux from 6.12 to 7.2. Nothing else in this project forms an argument of an ioctl.
/// </summary>
/// <remarks>
/// SAFETY of all of them: an argument is a structure on this method's stack (or an array pinned for the call) with the offsets of the
/// header named beside it, and its first field says how long it is, so that the kernel reads and writes nothing behind it. The
/// kernel keeps none of the pointers, except guest memory's addresses given to MAP_DMA and IOAS_MAP: their owner unmaps them first.
/// Every method returns what the kernel does: a negative errno, or 0 or more.
/// </remarks>
internal static unsafe class VfioUapi
{
    // linux/vfio.h: _IO(VFIO_TYPE ';', VFIO_BASE 100 + n)
    private const nuint VFIO_GET_API_VERSION = 0x3B64;
    private const nuint VFIO_CHECK_EXTENSION = 0x3B65;
    private const nuint VFIO_SET_IOMMU = 0x3B66;
    private const nuint VFIO_GROUP_GET_STATUS = 0x3B67;
    private const nuint VFIO_GROUP_SET_CONTAINER = 0x3B68;
    private const nuint VFIO_GROUP_GET_DEVICE_FD = 0x3B6A;
    private const nuint VFIO_DEVICE_GET_INFO = 0x3B6B;
    private const nuint VFIO_DEVICE_GET_REGION_INFO = 0x3B6C;
    private const nuint VFIO_DEVICE_GET_IRQ_INFO = 0x3B6D;
    private const nuint VFIO_DEVICE_SET_IRQS = 0x3B6E;
    private const nuint VFIO_DEVICE_RESET = 0x3B6F;
    private const nuint VFIO_IOMMU_MAP_DMA = 0x3B71;
    private const nuint VFIO_IOMMU_UNMAP_DMA = 0x3B72;
    private const nuint VFIO_DEVICE_FEATURE = 0x3B75; // of a device
    private const nuint VFIO_IOMMU_DIRTY_PAGES = 0x3B75; // of a container
    private const nuint VFIO_DEVICE_BIND_IOMMUFD = 0x3B76;
    private const nuint VFIO_DEVICE_ATTACH_IOMMUFD_PT = 0x3B77;
    private const nuint VFIO_MIG_GET_PRECOPY_INFO = 0x3B79; // of a data_fd

    // linux/iommufd.h: _IO(IOMMUFD_TYPE ';', n)
    private const nuint IOMMU_IOAS_ALLOC = 0x3B81;
    private const nuint IOMMU_IOAS_MAP = 0x3B85;
    private const nuint IOMMU_IOAS_UNMAP = 0x3B86;
    private const nuint IOMMU_HWPT_ALLOC = 0x3B89;
    private const nuint IOMMU_GET_HW_INFO = 0x3B8A;
    private const nuint IOMMU_HWPT_SET_DIRTY_TRACKING = 0x3B8B;
    private const nuint IOMMU_HWPT_GET_DIRTY_BITMAP = 0x3B8C;

    public const int ApiVersion = 0; // VFIO_API_VERSION
    public const int Type1v2 = 3; // VFIO_TYPE1v2_IOMMU

    // Containers and groups.

    public static int GetApiVersion(KernelFile container) => container.Ioctl(VFIO_GET_API_VERSION, null);

    /// <returns>more than 0: the container has this extension.</returns>
    public static int CheckExtension(KernelFile container, int extension) =>
        container.Ioctl(VFIO_CHECK_EXTENSION, (void*)extension);

    public static int SetIommu(KernelFile container, int type) => container.Ioctl(VFIO_SET_IOMMU, (void*)type);

    /// <param name="viable">every device of the group is bound to a VFIO driver, or to none.</param>
    public static int GetGroupStatus(KernelFile group, out bool viable)
    {
        var status = new GroupStatus { Argsz = (uint)sizeof(GroupStatus) };
        int result = group.Ioctl(VFIO_GROUP_GET_STATUS, &status);
        viable = result >= 0 && (status.Flags & 1) != 0; // VFIO_GROUP_FLAGS_VIABLE
        return result;
    }

    public static int SetContainer(KernelFile group, KernelFile container)
    {
        int file = container.Descriptor;
        return group.Ioctl(VFIO_GROUP_SET_CONTAINER, &file);
    }

    /// <returns>a descriptor of the device.</returns>
    public static int GetDevice(KernelFile group, string name)
    {
        byte* text = (byte*)Marshal.StringToCoTaskMemUTF8(name); // null-terminated
        try
        {
            return group.Ioctl(VFIO_GROUP_GET_DEVICE_FD, text);
        }
        finally
        {
            Marshal.FreeCoTaskMem((nint)text);
        }
    }

    // Devices.

    public static int GetInfo(KernelFile device, out DeviceInfo info)
    {
        fixed (DeviceInfo* argument = &info)
        {
            *argument = new DeviceInfo { Argsz = (uint)sizeof(DeviceInfo) };
            return device.Ioctl(VFIO_DEVICE_GET_INFO, argument);
        }
    }

    public static int GetRegion(KernelFile device, int index, out RegionInfo info)
    {
        fixed (RegionInfo* argument = &info)
        {
            // Without room for capabilities none are written: sparse areas matter to who maps a region, and nobody here does.
            *argument = new RegionInfo { Argsz = (uint)sizeof(RegionInfo), Index = (uint)index };
            return device.Ioctl(VFIO_DEVICE_GET_REGION_INFO, argument);
        }
    }

    public static int GetInterrupt(KernelFile device, int index, out InterruptInfo info)
    {
        fixed (InterruptInfo* argument = &info)
        {
            *argument = new InterruptInfo { Argsz = (uint)sizeof(InterruptInfo), Index = (uint)index };
            return device.Ioctl(VFIO_DEVICE_GET_IRQ_INFO, argument);
        }
    }

    /// <summary>Binds eventfds to an index's first vectors; with none, unbinds all of the index.</summary>
    public static int SetInterrupts(KernelFile device, int index, ReadOnlySpan<int> eventFds)
    {
        const uint none = 1, eventFd = 4, trigger = 32; // VFIO_IRQ_SET_DATA_NONE, _DATA_EVENTFD, _ACTION_TRIGGER
        byte[] buffer = new byte[sizeof(InterruptSet) + eventFds.Length * sizeof(int)];
        MemoryMarshal.Write(buffer, new InterruptSet
        {
            Argsz = (uint)buffer.Length,
            Flags = trigger | (eventFds.IsEmpty ? none : eventFd),
            Index = (uint)index,
            Count = (uint)eventFds.Length,
        });
        MemoryMarshal.AsBytes(eventFds).CopyTo(buffer.AsSpan(sizeof(InterruptSet)));
        fixed (byte* argument = buffer) return device.Ioctl(VFIO_DEVICE_SET_IRQS, argument);
    }

    public static int Reset(KernelFile device) => device.Ioctl(VFIO_DEVICE_RESET, null);

    // Features: struct vfio_device_feature { u32 argsz; u32 flags; u8 data[]; }, flags = index | what is asked.

    private const uint Get = 1 << 16, Set = 1 << 17, Probe = 1 << 18;

    public static int GetMigration(KernelFile device, out MigrationCapabilities capabilities)
    {
        int result = Feature(device, 1, Get, 0UL, out ulong flags); // VFIO_DEVICE_FEATURE_MIGRATION: u64 flags
        capabilities = result < 0 ? MigrationCapabilities.None : (MigrationCapabilities)flags;
        return result;
    }

    public static int GetState(KernelFile device, out DeviceState state)
    {
        int result = Feature(device, 2, Get, default, out StateFeature feature);
        state = (DeviceState)feature.State;
        return result;
    }

    /// <param name="data">a new data_fd; -1: none, the old one goes on.</param>
    public static int SetState(KernelFile device, DeviceState target, out int data)
    {
        int result = Feature(device, 2, Set, new StateFeature { State = (uint)target, DataFd = -1 }, out var feature);
        data = result < 0 ? -1 : feature.DataFd;
        return result;
    }

    /// <summary>Whether the driver has device DMA logging; says nothing of whether a report will work.</summary>
    public static int ProbeDmaLogging(KernelFile device) => Feature(device, 6, Probe | Set, 0UL, out _);

    public static int StartDmaLogging(KernelFile device, ulong pageSize, ReadOnlySpan<LoggedRange> ranges)
    {
        fixed (LoggedRange* first = ranges)
            return Feature(device, 6, Set, new LogControl { PageSize = pageSize, Count = (uint)ranges.Length, Ranges = (ulong)first }, out _);
    }

    public static int StopDmaLogging(KernelFile device)
    {
        var head = new FeatureHead { Argsz = (uint)sizeof(FeatureHead), Flags = 7 | Set }; // no payload
        return device.Ioctl(VFIO_DEVICE_FEATURE, &head);
    }

    /// <summary>Reads and clears what was logged of a range; only sets bits.</summary>
    public static int ReportDmaLogging(KernelFile device, ulong iova, ulong length, ulong pageSize, Span<byte> bitmap)
    {
        fixed (byte* bits = bitmap)
            return Feature(
                device, 8, Get, new LogReport { Iova = iova, Length = length, PageSize = pageSize, Bitmap = (ulong)bits }, out _);
    }

    /// <param name="bytes">what a stop-copy would be long now, as the driver estimates it.</param>
    public static int GetDataSize(KernelFile device, out ulong bytes) => Feature(device, 9, Get, 0UL, out bytes);

    public static int GetPreCopyInfo(KernelFile data, out PreCopyBytes bytes)
    {
        var info = new PreCopyInfo { Argsz = (uint)sizeof(PreCopyInfo) };
        int result = data.Ioctl(VFIO_MIG_GET_PRECOPY_INFO, &info);
        bytes = new PreCopyBytes(info.InitialBytes, info.DirtyBytes);
        return result;
    }

    private static int Feature<T>(KernelFile device, uint index, uint what, T given, out T answer) where T : unmanaged
    {
        byte* buffer = stackalloc byte[sizeof(FeatureHead) + sizeof(T)];
        *(FeatureHead*)buffer = new FeatureHead { Argsz = (uint)(sizeof(FeatureHead) + sizeof(T)), Flags = index | what };
        Unsafe.WriteUnaligned(buffer + sizeof(FeatureHead), given);
        int result = device.Ioctl(VFIO_DEVICE_FEATURE, buffer);
        answer = Unsafe.ReadUnaligned<T>(buffer + sizeof(FeatureHead));
        return result;
    }

    // Type 1 containers.

    private const uint Readable = 1, Writable = 2; // VFIO_DMA_MAP_FLAG_READ, _WRITE

    public static int MapDma(KernelFile container, ulong address, ulong iova, ulong size, bool readable, bool writable)
    {
        var map = new MapDmaArgument
        {
            Argsz = (uint)sizeof(MapDmaArgument),
            Flags = (readable ? Readable : 0) | (writable ? Writable : 0),
            Address = address,
            Iova = iova,
            Size = size,
        };
        return container.Ioctl(VFIO_IOMMU_MAP_DMA, &map);
    }

    public static int UnmapDma(KernelFile container, ulong iova, ulong size)
    {
        var unmap = new UnmapDmaArgument { Argsz = (uint)sizeof(UnmapDmaArgument), Iova = iova, Size = size };
        return container.Ioctl(VFIO_IOMMU_UNMAP_DMA, &unmap);
    }

    public static int StartDirtyPages(KernelFile container) => DirtyPages(container, 1); // VFIO_IOMMU_DIRTY_PAGES_FLAG_START

    public static int StopDirtyPages(KernelFile container) => DirtyPages(container, 2); // _FLAG_STOP

    /// <summary>Reads and clears the bitmap of one mapping, exactly.</summary>
    public static int GetDirtyPages(KernelFile container, ulong iova, ulong size, ulong pageSize, Span<byte> bitmap)
    {
        fixed (byte* bits = bitmap)
        {
            var get = new DirtyPagesGet
            {
                Argsz = (uint)sizeof(DirtyPagesGet),
                Flags = 4, // _FLAG_GET_BITMAP
                Iova = iova,
                Size = size,
                PageSize = pageSize,
                BitmapBytes = (ulong)bitmap.Length,
                Bitmap = (ulong)bits,
            };
            return container.Ioctl(VFIO_IOMMU_DIRTY_PAGES, &get);
        }
    }

    private static int DirtyPages(KernelFile container, uint flags)
    {
        var head = new FeatureHead { Argsz = (uint)sizeof(FeatureHead), Flags = flags };
        return container.Ioctl(VFIO_IOMMU_DIRTY_PAGES, &head);
    }

    // iommufd.

    public static int BindIommufd(KernelFile device, KernelFile iommufd, out uint deviceId)
    {
        var bind = new BindArgument { Argsz = (uint)sizeof(BindArgument), Iommufd = iommufd.Descriptor };
        int result = device.Ioctl(VFIO_DEVICE_BIND_IOMMUFD, &bind);
        deviceId = bind.DeviceId;
        return result;
    }

    /// <param name="table">an IOAS or a hardware page table.</param>
    public static int Attach(KernelFile device, uint table)
    {
        var attach = new AttachArgument { Argsz = (uint)sizeof(AttachArgument), Table = table };
        return device.Ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
    }

    public static int AllocateIoas(KernelFile iommufd, out uint ioas)
    {
        var allocate = new IoasAllocate { Size = (uint)sizeof(IoasAllocate) };
        int result = iommufd.Ioctl(IOMMU_IOAS_ALLOC, &allocate);
        ioas = allocate.Id;
        return result;
    }

    /// <param name="tracksDirty">IOMMU_HW_CAP_DIRTY_TRACKING: its page tables can log DMA writes.</param>
    public static int GetHardware(KernelFile iommufd, uint deviceId, out bool tracksDirty)
    {
        var info = new HardwareInfo { Size = (uint)sizeof(HardwareInfo), DeviceId = deviceId };
        int result = iommufd.Ioctl(IOMMU_GET_HW_INFO, &info);
        tracksDirty = result >= 0 && (info.Capabilities & 1) != 0;
        return result;
    }

    /// <summary>A hardware page table over an IOAS that can log DMA writes.</summary>
    public static int AllocateTable(KernelFile iommufd, uint deviceId, uint ioas, out uint table)
    {
        var allocate = new TableAllocate
        {
            Size = (uint)sizeof(TableAllocate),
            Flags = 2, // IOMMU_HWPT_ALLOC_DIRTY_TRACKING
            DeviceId = deviceId,
            Parent = ioas,
        };
        int result = iommufd.Ioctl(IOMMU_HWPT_ALLOC, &allocate);
        table = allocate.Id;
        return result;
    }

    public static int MapIoas(KernelFile iommufd, uint ioas, ulong address, ulong iova, ulong size, bool readable, bool writable)
    {
        const uint fixedIova = 1, write = 2, read = 4; // IOMMU_IOAS_MAP_*
        var map = new IoasMap
        {
            Size = (uint)sizeof(IoasMap),
            Flags = fixedIova | (readable ? read : 0) | (writable ? write : 0),
            Ioas = ioas,
            Address = address,
            Length = size,
            Iova = iova,
        };
        return iommufd.Ioctl(IOMMU_IOAS_MAP, &map);
    }

    public static int UnmapIoas(KernelFile iommufd, uint ioas, ulong iova, ulong size)
    {
        var unmap = new IoasUnmap { Size = (uint)sizeof(IoasUnmap), Ioas = ioas, Iova = iova, Length = size };
        return iommufd.Ioctl(IOMMU_IOAS_UNMAP, &unmap);
    }

    public static int TrackDirty(KernelFile iommufd, uint table, bool enable)
    {
        var track = new TableTrack { Size = (uint)sizeof(TableTrack), Flags = enable ? 1u : 0, Table = table };
        return iommufd.Ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, &track);
    }

    /// <summary>Reads and clears what a page table logged of a range; only sets bits.</summary>
    public static int GetDirtyBitmap(KernelFile iommufd, uint table, ulong iova, ulong size, ulong pageSize, Span<byte> bitmap)
    {
        fixed (byte* bits = bitmap)
        {
            var get = new TableBitmap
            {
                Size = (uint)sizeof(TableBitmap),
                Table = table,
                Iova = iova,
                Length = size,
                PageSize = pageSize,
                Bitmap = (ulong)bits,
            };
            return iommufd.Ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
        }
    }

    /// <summary>struct vfio_group_status.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 8)]
    internal struct GroupStatus
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
    }

    /// <summary>struct vfio_device_info.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    internal struct DeviceInfo
    {
        public const uint ResetFlag = 1, PciFlag = 2; // VFIO_DEVICE_FLAGS_*

        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Regions;
        [FieldOffset(12)] public uint Interrupts;
        [FieldOffset(16)] public uint CapabilityOffset;
    }

    /// <summary>struct vfio_region_info. Offset is where the region lies in the device's file.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    internal struct RegionInfo
    {
        public const uint ReadFlag = 1, WriteFlag = 2; // VFIO_REGION_INFO_FLAG_*

        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Index;
        [FieldOffset(12)] public uint CapabilityOffset;
        [FieldOffset(16)] public ulong Size;
        [FieldOffset(24)] public ulong Offset;
    }

    /// <summary>struct vfio_irq_info.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    internal struct InterruptInfo
    {
        public const uint EventFdFlag = 1; // VFIO_IRQ_INFO_EVENTFD

        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Index;
        [FieldOffset(12)] public uint Count;
    }

    /// <summary>struct vfio_irq_set, without its data.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 20)]
    internal struct InterruptSet
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Index;
        [FieldOffset(12)] public uint Start;
        [FieldOffset(16)] public uint Count;
    }

    /// <summary>struct vfio_device_feature, without its data; struct vfio_iommu_type1_dirty_bitmap begins alike.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 8)]
    internal struct FeatureHead
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
    }

    /// <summary>struct vfio_device_feature_mig_state.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 8)]
    internal struct StateFeature
    {
        [FieldOffset(0)] public uint State;
        [FieldOffset(4)] public int DataFd;
    }

    /// <summary>struct vfio_precopy_info.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    internal struct PreCopyInfo
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public ulong InitialBytes;
        [FieldOffset(16)] public ulong DirtyBytes;
    }

    /// <summary>struct vfio_device_feature_dma_logging_control.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    internal struct LogControl
    {
        [FieldOffset(0)] public ulong PageSize;
        [FieldOffset(8)] public uint Count;
        [FieldOffset(16)] public ulong Ranges;
    }

    /// <summary>struct vfio_device_feature_dma_logging_range.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    internal struct LoggedRange
    {
        [FieldOffset(0)] public ulong Iova;
        [FieldOffset(8)] public ulong Length;
    }

    /// <summary>struct vfio_device_feature_dma_logging_report.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    internal struct LogReport
    {
        [FieldOffset(0)] public ulong Iova;
        [FieldOffset(8)] public ulong Length;
        [FieldOffset(16)] public ulong PageSize;
        [FieldOffset(24)] public ulong Bitmap;
    }

    /// <summary>struct vfio_iommu_type1_dma_map.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    internal struct MapDmaArgument
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public ulong Address;
        [FieldOffset(16)] public ulong Iova;
        [FieldOffset(24)] public ulong Size;
    }

    /// <summary>struct vfio_iommu_type1_dma_unmap.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    internal struct UnmapDmaArgument
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public ulong Iova;
        [FieldOffset(16)] public ulong Size;
    }

    /// <summary>struct vfio_iommu_type1_dirty_bitmap, and behind it struct vfio_iommu_type1_dirty_bitmap_get.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 48)]
    internal struct DirtyPagesGet
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public ulong Iova;
        [FieldOffset(16)] public ulong Size;
        [FieldOffset(24)] public ulong PageSize;
        [FieldOffset(32)] public ulong BitmapBytes;
        [FieldOffset(40)] public ulong Bitmap;
    }

    /// <summary>struct vfio_device_bind_iommufd, as before its tail of 7.2.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    internal struct BindArgument
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public int Iommufd;
        [FieldOffset(12)] public uint DeviceId;
    }

    /// <summary>struct vfio_device_attach_iommufd_pt, as before its tail of 7.2.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 12)]
    internal struct AttachArgument
    {
        [FieldOffset(0)] public uint Argsz;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Table;
    }

    /// <summary>struct iommu_ioas_alloc.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 12)]
    internal struct IoasAllocate
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Id;
    }

    /// <summary>struct iommu_ioas_map.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    internal struct IoasMap
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Ioas;
        [FieldOffset(16)] public ulong Address;
        [FieldOffset(24)] public ulong Length;
        [FieldOffset(32)] public ulong Iova;
    }

    /// <summary>struct iommu_ioas_unmap.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    internal struct IoasUnmap
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Ioas;
        [FieldOffset(8)] public ulong Iova;
        [FieldOffset(16)] public ulong Length;
    }

    /// <summary>struct iommu_hw_info.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    internal struct HardwareInfo
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint DeviceId;
        [FieldOffset(32)] public ulong Capabilities;
    }

    /// <summary>struct iommu_hwpt_alloc.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 48)]
    internal struct TableAllocate
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint DeviceId;
        [FieldOffset(12)] public uint Parent;
        [FieldOffset(16)] public uint Id;
    }

    /// <summary>struct iommu_hwpt_set_dirty_tracking.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    internal struct TableTrack
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public uint Table;
    }

    /// <summary>struct iommu_hwpt_get_dirty_bitmap.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 48)]
    internal struct TableBitmap
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Table;
        [FieldOffset(8)] public uint Flags;
        [FieldOffset(16)] public ulong Iova;
        [FieldOffset(24)] public ulong Length;
        [FieldOffset(32)] public ulong PageSize;
        [FieldOffset(40)] public ulong Bitmap;
    }
}
