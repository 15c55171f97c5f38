namespace MigrationCluster.Protocol.VfioUser;

/// <summary>DEVICE_GET_INFO, request and reply: <c>u32 argsz, flags, num_regions, num_irqs</c>.</summary>
public readonly record struct DeviceGetInfo(uint Argsz, uint Flags, uint RegionCount, uint IrqCount)
{
    public const int Size = 16;
    public const uint ResetFlag = 1;
    public const uint PciFlag = 2;

    public static bool TryRead(ReadOnlySpan<byte> source, out DeviceGetInfo message)
    {
        message = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        message = new DeviceGetInfo(reader.U32(), reader.U32(), reader.U32(), reader.U32());
        return message.Argsz >= Size;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Argsz);
        writer.U32(Flags);
        writer.U32(RegionCount);
        writer.U32(IrqCount);
    }
}

/// <summary>GET_REGION_INFO, request and reply: <c>u32 argsz, flags, index, cap_offset; u64 size, offset</c>. A reply whose
/// argsz is larger than the request's asks for the request again with that much room; then capabilities follow.</summary>
public readonly record struct GetRegionInfo(
    uint Argsz, uint Flags, uint Index, uint CapabilityOffset, ulong SizeBytes, ulong Offset)
{
    public const int Size = 32;
    public const uint ReadFlag = 1;
    public const uint WriteFlag = 2;
    public const uint MmapFlag = 4;
    public const uint CapabilitiesFlag = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out GetRegionInfo message)
    {
        message = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        message = new GetRegionInfo(
            reader.U32(), reader.U32(), reader.U32(), reader.U32(), reader.U64(), reader.U64());
        return message.Argsz >= Size;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Argsz);
        writer.U32(Flags);
        writer.U32(Index);
        writer.U32(CapabilityOffset);
        writer.U64(SizeBytes);
        writer.U64(Offset);
    }
}

/// <summary>One mappable part of a region; map at the region's file offset plus <paramref name="Offset"/>.</summary>
public readonly record struct SparseArea(ulong Offset, ulong SizeBytes);

/// <summary>The sparse-mmap capability behind a region's description:
/// <c>u16 id = 1, u16 version, u32 next; u32 nr_areas, u32 reserved; {u64 offset, u64 size}[]</c>.</summary>
public static class SparseMmapCapability
{
    public const ushort Id = 1;
    private const int HeadSize = 16;
    private const int AreaSize = 16;

    public static int SizeOf(int areas) => HeadSize + areas * AreaSize;

    public static void Write(Span<byte> destination, ReadOnlySpan<SparseArea> areas)
    {
        var writer = new WireWriter(destination);
        writer.U32(Id | 1 << 16);
        writer.U32(0);
        writer.U32((uint)areas.Length);
        writer.U32(0);
        foreach (var area in areas)
        {
            writer.U64(area.Offset);
            writer.U64(area.SizeBytes);
        }
    }

    /// <summary>Walks the capability chain of a whole reply body for the sparse areas.</summary>
    /// <returns>false: the chain is malformed. No such capability: true with no areas.</returns>
    public static bool TryFind(ReadOnlySpan<byte> body, uint firstOffset, out SparseArea[] areas)
    {
        areas = [];
        // A chain only leads forward, so it ends even when it was built to loop.
        for (uint at = firstOffset, last = GetRegionInfo.Size - 1; at != 0;)
        {
            if (at <= last || at > body.Length - 8) return false;
            var reader = new WireReader(body[(int)at..]);
            uint idAndVersion = reader.U32();
            uint next = reader.U32();
            if ((idAndVersion & 0xffff) == Id) return TryReadAreas(body[(int)at..], out areas);
            (last, at) = (at, next);
        }
        return true;
    }

    private static bool TryReadAreas(ReadOnlySpan<byte> capability, out SparseArea[] areas)
    {
        areas = [];
        if (capability.Length < HeadSize) return false;
        var reader = new WireReader(capability[8..]);
        uint count = reader.U32();
        _ = reader.U32();
        if (count > (capability.Length - HeadSize) / AreaSize) return false;
        areas = new SparseArea[count];
        for (int i = 0; i < areas.Length; i++) areas[i] = new SparseArea(reader.U64(), reader.U64());
        return true;
    }
}

/// <summary>GET_IRQ_INFO, request and reply: <c>u32 argsz, flags, index, count</c>.</summary>
public readonly record struct GetIrqInfo(uint Argsz, uint Flags, uint Index, uint Count)
{
    public const int Size = 16;
    public const uint EventFdFlag = 1;

    public static bool TryRead(ReadOnlySpan<byte> source, out GetIrqInfo message)
    {
        message = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        message = new GetIrqInfo(reader.U32(), reader.U32(), reader.U32(), reader.U32());
        return message.Argsz >= Size;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Argsz);
        writer.U32(Flags);
        writer.U32(Index);
        writer.U32(Count);
    }
}

/// <summary>SET_IRQS: <c>u32 argsz, flags, index, start, count</c>, with <c>count</c> eventfds or no data.</summary>
public readonly record struct SetIrqsRequest(uint Flags, uint Index, uint Start, uint Count)
{
    public const int Size = 20;
    public const uint DataNone = 1;
    public const uint DataBool = 2;
    public const uint DataEventFd = 4;
    public const uint ActionMask = 8;
    public const uint ActionUnmask = 0x10;
    public const uint ActionTrigger = 0x20;

    public static bool TryRead(ReadOnlySpan<byte> source, out SetIrqsRequest request)
    {
        request = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        if (reader.U32() < Size) return false;
        request = new SetIrqsRequest(reader.U32(), reader.U32(), reader.U32(), reader.U32());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Size);
        writer.U32(Flags);
        writer.U32(Index);
        writer.U32(Start);
        writer.U32(Count);
    }
}

/// <summary>REGION_READ and REGION_WRITE: <c>u64 offset, u32 region, u32 count</c>, then the data of a write or of a
/// read's reply.</summary>
public readonly record struct RegionAccess(ulong Offset, uint Region, uint Count)
{
    public const int Size = 16;

    public static bool TryRead(ReadOnlySpan<byte> source, out RegionAccess access)
    {
        access = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        access = new RegionAccess(reader.U64(), reader.U32(), reader.U32());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U64(Offset);
        writer.U32(Region);
        writer.U32(Count);
    }
}
