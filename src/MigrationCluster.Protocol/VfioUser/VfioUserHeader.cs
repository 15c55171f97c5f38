using System.Buffers.Binary;

namespace MigrationCluster.Protocol.VfioUser;

/// <summary>The 16 bytes before every message, host-endian (little-endian here), packed.</summary>
/// <param name="Command">a <see cref="VfioUserCommand"/> or <see cref="ExtensionCommand"/>; a reply repeats it.</param>
/// <param name="SizeBytes">of the whole message, header included.</param>
/// <param name="Errno">only with <see cref="ErrorFlag"/>; may be 0 even then.</param>
public readonly record struct VfioUserHeader(ushort Id, ushort Command, uint SizeBytes, uint Flags, uint Errno)
{
    public const int Size = 16;
    public const uint ReplyFlag = 1;
    public const uint TypeMask = 0xf;
    public const uint NoReplyFlag = 0x10;
    public const uint ErrorFlag = 0x20;

    public bool IsReply => (Flags & TypeMask) == ReplyFlag;
    public bool IsCommand => (Flags & TypeMask) == 0;
    public bool IsError => (Flags & ErrorFlag) != 0;
    public bool WantsReply => (Flags & NoReplyFlag) == 0;

    /// <summary>Bytes that follow the header.</summary>
    public int BodyBytes => (int)SizeBytes - Size;

    public static VfioUserHeader ForCommand(ushort id, ushort command, int bodyBytes) =>
        new(id, command, (uint)(Size + bodyBytes), 0, 0);

    public VfioUserHeader Reply(int bodyBytes) => new(Id, Command, (uint)(Size + bodyBytes), ReplyFlag, 0);

    public VfioUserHeader ErrorReply(int errno, int bodyBytes = 0) =>
        new(Id, Command, (uint)(Size + bodyBytes), ReplyFlag | ErrorFlag, (uint)errno);

    /// <returns>false: too short, neither command nor reply, or a size that no message has; the stream is lost.</returns>
    public static bool TryRead(ReadOnlySpan<byte> source, out VfioUserHeader header)
    {
        header = default;
        if (source.Length < Size) return false;
        header = new VfioUserHeader(
            BinaryPrimitives.ReadUInt16LittleEndian(source),
            BinaryPrimitives.ReadUInt16LittleEndian(source[2..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[12..]));
        return header.SizeBytes is >= Size and <= int.MaxValue && (header.IsCommand || header.IsReply);
    }

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, Id);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], Command);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], SizeBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], Flags);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], Errno);
    }
}
