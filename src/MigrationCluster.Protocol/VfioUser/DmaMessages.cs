namespace MigrationCluster.Protocol.VfioUser;

/// <summary>DMA_MAP: <c>u32 argsz, u32 flags, u64 file_offset, u64 iova, u64 size</c>, with at most one descriptor.</summary>
public readonly record struct DmaMapRequest(uint Flags, ulong FileOffset, ulong Iova, ulong SizeBytes)
{
    public const int Size = 32;
    public const uint ReadFlag = 1;
    public const uint WriteFlag = 2;

    /// <summary>libvfio-user's own: map, or use file IO; both need a descriptor.</summary>
    public const uint MmapFlag = 4;
    public const uint FileIoFlag = 8;
    public const uint KnownFlags = ReadFlag | WriteFlag | MmapFlag | FileIoFlag;

    public static bool TryRead(ReadOnlySpan<byte> source, out DmaMapRequest request)
    {
        request = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        if (reader.U32() < Size) return false;
        request = new DmaMapRequest(reader.U32(), reader.U64(), reader.U64(), reader.U64());
        return (request.Flags & ~KnownFlags) == 0 && request.SizeBytes != 0
            && request.Iova + (request.SizeBytes - 1) >= request.Iova;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Size);
        writer.U32(Flags);
        writer.U64(FileOffset);
        writer.U64(Iova);
        writer.U64(SizeBytes);
    }
}

/// <summary>DMA_UNMAP: <c>u32 argsz, u32 flags, u64 iova, u64 size</c>; the reply repeats it.</summary>
public readonly record struct DmaUnmapRequest(uint Flags, ulong Iova, ulong SizeBytes)
{
    public const int Size = 24;
    public const uint GetDirtyBitmapFlag = 1;
    public const uint AllFlag = 2;

    public static bool TryRead(ReadOnlySpan<byte> source, out DmaUnmapRequest request)
    {
        request = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        if (reader.U32() < Size) return false;
        request = new DmaUnmapRequest(reader.U32(), reader.U64(), reader.U64());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Size);
        writer.U32(Flags);
        writer.U64(Iova);
        writer.U64(SizeBytes);
    }
}

/// <summary>DMA_READ and DMA_WRITE, server to client: <c>u64 address, u64 count</c>, then the data of a write or of a
/// read's reply. A write's reply is these 16 bytes (the standard's table says 12; libvfio-user wants 16).</summary>
public readonly record struct DmaAccess(ulong Address, ulong Count)
{
    public const int Size = 16;

    public static bool TryRead(ReadOnlySpan<byte> source, out DmaAccess access)
    {
        access = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        access = new DmaAccess(reader.U64(), reader.U64());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U64(Address);
        writer.U64(Count);
    }
}
