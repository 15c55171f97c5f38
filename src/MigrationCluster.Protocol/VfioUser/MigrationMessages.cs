using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.VfioUser;

/// <summary>Indices of DEVICE_FEATURE (linux/vfio.h).</summary>
public enum FeatureIndex
{
    Migration = 1,
    DeviceState = 2,
    DirtyLogStart = 6,
    DirtyLogStop = 7,
    DirtyLogReport = 8,
}

/// <summary>DEVICE_FEATURE: <c>u32 argsz, u32 flags</c>, then the feature's data.</summary>
/// <param name="Argsz">in a request the largest reply body that is accepted, in a reply this body's size.</param>
public readonly record struct FeatureHeader(uint Argsz, uint Flags)
{
    public const int Size = 8;
    public const uint IndexMask = 0xffff;
    public const uint GetFlag = 1 << 16;
    public const uint SetFlag = 1 << 17;
    public const uint ProbeFlag = 1 << 18;

    public FeatureIndex Index => (FeatureIndex)(Flags & IndexMask);

    public static bool TryRead(ReadOnlySpan<byte> source, out FeatureHeader header)
    {
        header = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        header = new FeatureHeader(reader.U32(), reader.U32());
        return header.Argsz >= Size;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Argsz);
        writer.U32(Flags);
    }
}

/// <summary>Data of feature MIGRATION: <c>u64 flags</c>.</summary>
public readonly record struct MigrationFeature(MigrationCapabilities Capabilities)
{
    public const int Size = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out MigrationFeature feature)
    {
        feature = default;
        if (source.Length < Size) return false;
        feature = new MigrationFeature((MigrationCapabilities)new WireReader(source).U64());
        return true;
    }

    public void Write(Span<byte> destination) => new WireWriter(destination).U64((ulong)Capabilities);
}

/// <summary>Data of feature MIG_DEVICE_STATE: <c>u32 state, u32 data_fd</c>; the descriptor is unused, -1.</summary>
public readonly record struct DeviceStateFeature(DeviceState State)
{
    public const int Size = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out DeviceStateFeature feature)
    {
        feature = default;
        if (source.Length < Size) return false;
        feature = new DeviceStateFeature((DeviceState)new WireReader(source).U32());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32((uint)State);
        writer.U32(uint.MaxValue);
    }
}

/// <summary>Data of feature LOG_START: <c>u64 page_size, u32 num_ranges, u32 reserved, {u64 iova, u64 length}[]</c>; the
/// reply tells the page size granted.</summary>
public readonly record struct DirtyLogStart(ulong PageSizeBytes, uint RangeCount)
{
    public const int Size = 16;
    public const int RangeSize = 16;

    public static bool TryRead(ReadOnlySpan<byte> source, out DirtyLogStart feature)
    {
        feature = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        feature = new DirtyLogStart(reader.U64(), reader.U32());
        return feature.RangeCount <= (uint)(source.Length - Size) / RangeSize;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U64(PageSizeBytes);
        writer.U32(RangeCount);
        writer.U32(0);
    }

    /// <summary>Writes range <paramref name="index"/> of a feature that starts at <paramref name="destination"/>.</summary>
    public static void WriteRange(Span<byte> destination, int index, ulong iova, ulong length)
    {
        var writer = new WireWriter(destination[(Size + index * RangeSize)..]);
        writer.U64(iova);
        writer.U64(length);
    }
}

/// <summary>Data of feature LOG_REPORT: <c>u64 iova, u64 length, u64 page_size</c>; in a reply the bitmap follows, whole
/// 64-bit words, bit k (byte k/8, bit k%8) for page <c>iova + k * page_size</c>.</summary>
public readonly record struct DirtyLogReport(ulong Iova, ulong LengthBytes, ulong PageSizeBytes)
{
    public const int Size = 24;

    /// <summary>The bitmap's size on the wire; 0 when the request makes no sense.</summary>
    public long BitmapBytes
    {
        get
        {
            if (PageSizeBytes == 0 || LengthBytes == 0) return 0;
            ulong pages = (LengthBytes - 1) / PageSizeBytes + 1;
            return (long)((pages + 63) / 64 * 8);
        }
    }

    public static bool TryRead(ReadOnlySpan<byte> source, out DirtyLogReport feature)
    {
        feature = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        feature = new DirtyLogReport(reader.U64(), reader.U64(), reader.U64());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U64(Iova);
        writer.U64(LengthBytes);
        writer.U64(PageSizeBytes);
    }
}

/// <summary>MIG_DATA_READ and MIG_DATA_WRITE: <c>u32 argsz = 8 + n, u32 size = n</c>, then the data of a write or of a
/// read's reply. A read's reply may be longer than its <see cref="SizeBytes"/>: only that many bytes are valid.</summary>
public readonly record struct MigrationData(uint SizeBytes)
{
    public const int Size = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out MigrationData data)
    {
        data = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        uint argsz = reader.U32();
        data = new MigrationData(reader.U32());
        return argsz >= Size;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Size + SizeBytes);
        writer.U32(SizeBytes);
    }
}
