using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;

namespace MigrationCluster.Devices.Tests.Sysfs.Fuse;

/// <summary>
/// Answers the kernel's requests for a tree, one after the other (include/uapi/linux/fuse.h, protocol 7.31). Nothing is
/// cached: every file is opened for direct IO, so that each read(2) and write(2) is a request and gets its own answer.
/// </summary>
internal sealed unsafe class FuseSession(FuseTree tree, SafeFileHandle device)
{
    private const int RequestHeadBytes = 40;
    private const int ReplyHeadBytes = 16;
    private const int AttributeBytes = 88;
    private const int MaxWriteBytes = 64 << 10;
    private const int EIO = 5;
    private const int EACCES = 13;
    private const int ENOENT = 2;
    private const int ENOTDIR = 20;
    private const int EISDIR = 21;
    private const int EINVAL = 22;
    private const int ENOSYS = 38;

    // The head, a write's own head, and the most that is written at once.
    private readonly byte[] _request = new byte[MaxWriteBytes + 4096];
    private readonly byte[] _reply = new byte[MaxWriteBytes + 4096];
    private int _replyLength;

    /// <summary>Serves one request.</summary>
    /// <returns>false: the mount is gone.</returns>
    internal bool Serve()
    {
        nint length;
        // SAFETY: the buffer is pinned during the call.
        fixed (byte* first = _request) length = Libc.read(device, first, (nuint)_request.Length);
        if (length < 0)
            return Marshal.GetLastPInvokeError() is ENOENT or Libc.EINTR or Libc.EAGAIN;
        if (length < RequestHeadBytes) return false;
        var head = _request.AsSpan(0, RequestHeadBytes);
        var body = _request.AsSpan(RequestHeadBytes..(int)length);
        var opcode = (Opcode)BinaryPrimitives.ReadUInt32LittleEndian(head[4..]);
        if (opcode is Opcode.Forget or Opcode.BatchForget) return true;
        _replyLength = ReplyHeadBytes;
        int errno;
        try
        {
            errno = Answer(opcode, BinaryPrimitives.ReadUInt64LittleEndian(head[16..]), body);
        }
        catch (Exception)
        {
            // A callback that fails is a driver that fails; the test sees EIO where it expected an answer.
            errno = EIO;
        }
        if (errno != 0) _replyLength = ReplyHeadBytes;
        BinaryPrimitives.WriteInt32LittleEndian(_reply, _replyLength);
        BinaryPrimitives.WriteInt32LittleEndian(_reply.AsSpan(4), -errno);
        head[8..16].CopyTo(_reply.AsSpan(8));
        // SAFETY: as above. A request that was interrupted takes no reply, which is no failure of the session.
        fixed (byte* first = _reply) _ = Libc.write(device, first, (nuint)_replyLength);
        return true;
    }

    private int Answer(Opcode opcode, ulong id, ReadOnlySpan<byte> body)
    {
        if (opcode == Opcode.Init) return Init(body);
        if (tree[id] is not { } node) return ENOENT;
        switch (opcode)
        {
            case Opcode.Lookup:
                return node is FuseNode.Folder folder ? Lookup(folder, body) : ENOTDIR;
            // SETATTR comes with O_TRUNC, which means nothing to an attribute.
            case Opcode.GetAttributes or Opcode.SetAttributes:
                Zeros(16);
                return Attributes(id, node);
            case Opcode.ReadLink:
                if (node is not FuseNode.Link link) return EINVAL;
                Put(Encoding.UTF8.GetBytes(link.Target));
                return 0;
            case Opcode.Open:
                return Open(node, writing: (BinaryPrimitives.ReadUInt32LittleEndian(body) & 3) != 0);
            case Opcode.OpenFolder or Opcode.StatFileSystem:
                Zeros(opcode == Opcode.OpenFolder ? 16 : 80);
                return 0;
            case Opcode.Release or Opcode.ReleaseFolder:
                return 0;
            case Opcode.Read:
                return node is FuseNode.Attribute read ? Read(read, body) : EISDIR;
            case Opcode.Write:
                return node is FuseNode.Attribute { Write: { } store } ? Write(store, body) : EACCES;
            case Opcode.ReadFolder:
                return node is FuseNode.Folder listed ? List(listed, body) : ENOTDIR;
            default:
                return ENOSYS;
        }
    }

    private int Init(ReadOnlySpan<byte> body)
    {
        Put32(7);
        Put32(31);
        Put32(BinaryPrimitives.ReadUInt32LittleEndian(body[8..])); // max_readahead
        Put32(0); // flags: none of the optional ways
        Put32(0); // max_background, congestion_threshold: the kernel's
        Put32(MaxWriteBytes);
        Put32(1); // time_gran
        Zeros(36);
        return 0;
    }

    private int Lookup(FuseNode.Folder folder, ReadOnlySpan<byte> body)
    {
        if (!folder.Entries.TryGetValue(Encoding.UTF8.GetString(body[..^1]), out ulong id)) return ENOENT;
        Put64(id);
        Zeros(32);
        return Attributes(id, tree[id]!);
    }

    private int Attributes(ulong id, FuseNode node)
    {
        int from = _replyLength;
        Zeros(AttributeBytes);
        var attributes = _reply.AsSpan(from, AttributeBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(attributes, id);
        BinaryPrimitives.WriteUInt64LittleEndian(attributes[8..], node is FuseNode.Attribute ? 4096UL : 0);
        BinaryPrimitives.WriteUInt32LittleEndian(attributes[60..], node switch
        {
            FuseNode.Folder => 0x41ED, // S_IFDIR | 0755
            FuseNode.Link => 0xA1FF, // S_IFLNK | 0777
            FuseNode.Attribute { Write: null } => 0x8124, // S_IFREG | 0444
            _ => 0x81A4, // S_IFREG | 0644
        });
        BinaryPrimitives.WriteUInt32LittleEndian(attributes[64..], 1); // nlink
        return 0;
    }

    private int Open(FuseNode node, bool writing)
    {
        // As sysfs does, for root too.
        if (writing && node is FuseNode.Attribute { Write: null }) return EACCES;
        Put64(0);
        Put32(1); // FOPEN_DIRECT_IO
        Put32(0);
        return 0;
    }

    private int Read(FuseNode.Attribute attribute, ReadOnlySpan<byte> body)
    {
        var answer = attribute.Read();
        if (answer.Errno != 0) return answer.Errno;
        Put(Slice(answer.Content, body));
        return 0;
    }

    private int Write(Func<byte[], int> store, ReadOnlySpan<byte> body)
    {
        int result = store(body.Slice(40, BinaryPrimitives.ReadInt32LittleEndian(body[16..])).ToArray());
        if (result < 0) return -result;
        Put32((uint)result);
        Put32(0);
        return 0;
    }

    private int List(FuseNode.Folder folder, ReadOnlySpan<byte> body)
    {
        int size = BinaryPrimitives.ReadInt32LittleEndian(body[16..]);
        ulong next = BinaryPrimitives.ReadUInt64LittleEndian(body[8..]);
        foreach (var (name, id) in folder.Entries.Skip((int)next))
        {
            byte[] bytes = Encoding.UTF8.GetBytes(name);
            int padding = -bytes.Length & 7;
            if (_replyLength - ReplyHeadBytes + 24 + bytes.Length + padding > size) break;
            Put64(id);
            Put64(++next);
            Put32((uint)bytes.Length);
            Put32(0); // type: unknown, a stat tells
            Put(bytes);
            Zeros(padding);
        }
        return 0;
    }

    private static ReadOnlySpan<byte> Slice(ReadOnlySpan<byte> content, ReadOnlySpan<byte> body)
    {
        ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(body[8..]);
        int size = BinaryPrimitives.ReadInt32LittleEndian(body[16..]);
        if (offset >= (ulong)content.Length) return [];
        var rest = content[(int)offset..];
        return rest[..Math.Min(rest.Length, size)];
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_reply.AsSpan(_replyLength));
        _replyLength += bytes.Length;
    }

    private void Put32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_reply.AsSpan(_replyLength), value);
        _replyLength += 4;
    }

    private void Put64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_reply.AsSpan(_replyLength), value);
        _replyLength += 8;
    }

    private void Zeros(int count)
    {
        _reply.AsSpan(_replyLength, count).Clear();
        _replyLength += count;
    }

    private enum Opcode : uint
    {
        Lookup = 1,
        Forget = 2,
        GetAttributes = 3,
        SetAttributes = 4,
        ReadLink = 5,
        Open = 14,
        Read = 15,
        Write = 16,
        StatFileSystem = 17,
        Release = 18,
        Init = 26,
        OpenFolder = 27,
        ReadFolder = 28,
        ReleaseFolder = 29,
        BatchForget = 42,
    }
}
