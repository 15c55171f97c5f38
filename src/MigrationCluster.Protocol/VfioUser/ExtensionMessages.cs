using System.Text;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.VfioUser;

// Bodies of the extension's commands; docs/vfio-user-extension.md holds the same layouts. Everything is packed and
// little-endian; texts are UTF-8 without a terminator.

/// <summary>BIND: <c>u64 epoch, u64 term, char guest[]</c>.</summary>
public readonly record struct BindRequest(GuestName Guest, Fence Fence)
{
    private const int HeadSize = 16;

    public static bool TryRead(ReadOnlySpan<byte> source, out BindRequest request)
    {
        request = default;
        if (source.Length < HeadSize) return false;
        var reader = new WireReader(source);
        var fence = new Fence(new Epoch(reader.U64()), new Term(reader.U64()));
        try
        {
            request = new BindRequest(GuestName.Parse(Encoding.UTF8.GetString(source[HeadSize..])), fence);
            return true;
        }
        catch (FormatException)
        {
            return false;
        }
    }

    public byte[] ToArray()
    {
        byte[] guest = Encoding.UTF8.GetBytes(Guest.Value);
        byte[] body = new byte[HeadSize + guest.Length];
        var writer = new WireWriter(body);
        writer.U64(Fence.Epoch.Value);
        writer.U64(Fence.Term.Value);
        guest.CopyTo(body, HeadSize);
        return body;
    }
}

/// <summary>READ_DIRTY's reply: <c>u64 sequence, u64 page_count</c>, then the bitmap in whole 64-bit words.</summary>
public readonly record struct DirtyPagesHead(ulong Sequence, ulong PageCount)
{
    public const int Size = 16;

    public static bool TryRead(ReadOnlySpan<byte> source, out DirtyPagesHead head)
    {
        head = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        head = new DirtyPagesHead(reader.U64(), reader.U64());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U64(Sequence);
        writer.U64(PageCount);
    }
}

/// <summary>A single <c>u64</c>: ACK_DIRTY's sequence, ACK_STREAM's offset, READ_DIRTY's page count,
/// SET_PAUSE_DEADLINE's microseconds.</summary>
public readonly record struct ExtensionNumber(ulong Value)
{
    public const int Size = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out ExtensionNumber number)
    {
        number = default;
        if (source.Length < Size) return false;
        number = new ExtensionNumber(new WireReader(source).U64());
        return true;
    }

    public void Write(Span<byte> destination) => new WireWriter(destination).U64(Value);
}

/// <summary>READ_STREAM, READ_DATA, their replies, WRITE_STREAM and WRITE_DATA: <c>u64 offset, u32 size, u32 where</c>, then the data
/// of a write or of a read's reply, unless they lie in the shared buffer.</summary>
/// <param name="Offset">in the stream; READ_DATA and WRITE_DATA go by no offset, so 0.</param>
/// <param name="Where">0: the bytes are behind the message; else 1 + their place in the shared buffer.</param>
public readonly record struct StreamRange(ulong Offset, uint SizeBytes, uint Where = 0)
{
    public const int Size = 16;

    /// <summary>The offset of a READ_STREAM that goes on where the connection's last one ended; the reply tells the real one.</summary>
    public const ulong Next = ulong.MaxValue;

    /// <summary>The bytes' place in the shared buffer; null: behind the message.</summary>
    public uint? Place => Where == 0 ? null : Where - 1;

    /// <param name="place">null: behind the message.</param>
    public static StreamRange At(ulong offset, int sizeBytes, int? place) =>
        new(offset, (uint)sizeBytes, place is { } at ? (uint)at + 1 : 0);

    public static bool TryRead(ReadOnlySpan<byte> source, out StreamRange range)
    {
        range = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        range = new StreamRange(reader.U64(), reader.U32(), reader.U32());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U64(Offset);
        writer.U32(SizeBytes);
        writer.U32(Where);
    }
}

/// <summary>THROTTLE_VCPUS: <c>u32 percent, u32 lease_ms</c>; 100 % is out of range, for a guest that stands still is paused.</summary>
public readonly record struct ThrottleRequest(int Percent, TimeSpan Lease)
{
    public const int Size = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out ThrottleRequest request)
    {
        request = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        uint percent = reader.U32(), lease = reader.U32();
        request = new ThrottleRequest((int)Math.Min(percent, 100), TimeSpan.FromMilliseconds(lease));
        return percent < 100;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32((uint)Percent);
        writer.U32((uint)Lease.TotalMilliseconds);
    }
}

/// <summary>GET_STREAM_DIGEST's reply: <c>u64 bytes, u32 crc32c, u32 reserved</c>.</summary>
public readonly record struct StreamDigestMessage(ulong Bytes, uint Crc32C)
{
    public const int Size = 16;

    public static bool TryRead(ReadOnlySpan<byte> source, out StreamDigestMessage message)
    {
        message = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        message = new StreamDigestMessage(reader.U64(), reader.U32());
        return true;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U64(Bytes);
        writer.U32(Crc32C);
        writer.U32(0);
    }
}

/// <summary>Replies of GET_CONTENT_DIGEST and GET_PRECOPY_BYTES: <c>u32 known, u32 reserved, u64 first, u64 second</c>.
/// The digest is the first; initial and dirty bytes are first and second.</summary>
public readonly record struct OptionalNumbers(bool Known, ulong First, ulong Second)
{
    public const int Size = 24;

    public static bool TryRead(ReadOnlySpan<byte> source, out OptionalNumbers message)
    {
        message = default;
        if (source.Length < Size) return false;
        var reader = new WireReader(source);
        uint known = reader.U32();
        _ = reader.U32();
        message = new OptionalNumbers(known != 0, reader.U64(), reader.U64());
        return known <= 1;
    }

    public void Write(Span<byte> destination)
    {
        var writer = new WireWriter(destination);
        writer.U32(Known ? 1u : 0);
        writer.U32(0);
        writer.U64(First);
        writer.U64(Second);
    }
}

/// <summary>GET_MEMORY_LAYOUT's reply: <c>u32 page_size, u32 window_count, {u64 gpa, u64 size}[]</c>.</summary>
public static class MemoryLayoutMessage
{
    private const int HeadSize = 8;
    private const int WindowSize = 16;

    public static bool TryRead(ReadOnlySpan<byte> source, out GuestMemoryLayout layout)
    {
        layout = new GuestMemoryLayout([]);
        if (source.Length < HeadSize) return false;
        var reader = new WireReader(source);
        uint pageSize = reader.U32();
        uint count = reader.U32();
        if (pageSize != GuestMemoryLayout.PageSizeBytes || count > (source.Length - HeadSize) / WindowSize) return false;
        var windows = new MemoryWindow[count];
        for (int i = 0; i < windows.Length; i++) windows[i] = new MemoryWindow(new Gpa(reader.U64()), reader.U64());
        try
        {
            layout = new GuestMemoryLayout(windows);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    public static byte[] ToArray(GuestMemoryLayout layout)
    {
        byte[] body = new byte[HeadSize + layout.Windows.Count * WindowSize];
        var writer = new WireWriter(body);
        writer.U32(GuestMemoryLayout.PageSizeBytes);
        writer.U32((uint)layout.Windows.Count);
        foreach (var window in layout.Windows)
        {
            writer.U64(window.Start.Value);
            writer.U64(window.SizeBytes);
        }
        return body;
    }
}

/// <summary>CAST_VOTE: <c>u32 vote, u32 has_digest, char digest[]</c>.</summary>
public readonly record struct CastVoteRequest(Vote Vote, string? Digest)
{
    private const int HeadSize = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out CastVoteRequest request)
    {
        request = default;
        if (source.Length < HeadSize) return false;
        var reader = new WireReader(source);
        var vote = (Vote)reader.U32();
        uint hasDigest = reader.U32();
        request = new CastVoteRequest(vote, hasDigest != 0 ? Encoding.UTF8.GetString(source[HeadSize..]) : null);
        return Enum.IsDefined(vote) && hasDigest <= 1;
    }

    public byte[] ToArray()
    {
        byte[] digest = Encoding.UTF8.GetBytes(Digest ?? "");
        byte[] body = new byte[HeadSize + digest.Length];
        var writer = new WireWriter(body);
        writer.U32((uint)Vote);
        writer.U32(Digest is null ? 0u : 1);
        digest.CopyTo(body, HeadSize);
        return body;
    }
}

/// <summary>Replies of READ_FENCE and CAST_VOTE: <c>u64 epoch, u64 term, u32 role, u32 flags, u32 guest_bytes,
/// u32 digest_bytes, char guest[], char digest[]</c>; flags: 1 kept, 2 yielded, 4 permitted, 8 has a digest.</summary>
public static class FenceRecordMessage
{
    private const int HeadSize = 32;
    private const uint KeptFlag = 1, YieldedFlag = 2, PermittedFlag = 4, DigestFlag = 8;

    public static bool TryRead(ReadOnlySpan<byte> source, out FenceRecord? record)
    {
        record = null;
        if (source.Length < HeadSize) return false;
        var reader = new WireReader(source);
        var fence = new Fence(new Epoch(reader.U64()), new Term(reader.U64()));
        var role = (GuestRole)reader.U32();
        uint flags = reader.U32();
        uint guestBytes = reader.U32();
        uint digestBytes = reader.U32();
        if ((ulong)guestBytes + digestBytes != (ulong)(source.Length - HeadSize) || !Enum.IsDefined(role)) return false;
        string guest = Encoding.UTF8.GetString(source.Slice(HeadSize, (int)guestBytes));
        string digest = Encoding.UTF8.GetString(source[(HeadSize + (int)guestBytes)..]);
        record = new FenceRecord(
            new GuestName(guest), fence, role, (flags & DigestFlag) != 0 ? digest : null,
            (flags & KeptFlag) != 0, (flags & YieldedFlag) != 0, (flags & PermittedFlag) != 0);
        return true;
    }

    public static byte[] ToArray(FenceRecord record)
    {
        byte[] guest = Encoding.UTF8.GetBytes(record.Guest.Value);
        byte[] digest = Encoding.UTF8.GetBytes(record.VerifiedDigest ?? "");
        byte[] body = new byte[HeadSize + guest.Length + digest.Length];
        var writer = new WireWriter(body);
        writer.U64(record.Fence.Epoch.Value);
        writer.U64(record.Fence.Term.Value);
        writer.U32((uint)record.Role);
        writer.U32((record.Kept ? KeptFlag : 0) | (record.Yielded ? YieldedFlag : 0)
            | (record.Permitted ? PermittedFlag : 0) | (record.VerifiedDigest is null ? 0 : DigestFlag));
        writer.U32((uint)guest.Length);
        writer.U32((uint)digest.Length);
        guest.CopyTo(body, HeadSize);
        digest.CopyTo(body, HeadSize + guest.Length);
        return body;
    }
}
