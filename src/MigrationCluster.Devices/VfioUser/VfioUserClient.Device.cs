using System.Buffers;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>Regions, interrupts, DMA windows and the server's own DMA.</summary>
public partial class VfioUserClient
{
    public async ValueTask ReadRegionAsync(
        int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        while (destination.Length > 0)
        {
            int count = Math.Min(destination.Length, MaxReadBytes);
            byte[] head = new byte[RegionAccess.Size];
            new RegionAccess(offset, (uint)region, (uint)count).Write(head);
            var reply = await AskAsync(
                (ushort)VfioUserCommand.RegionRead, head, default, head, destination[..count], cancellationToken);
            DisposeAll(reply.Files);
            if (reply.DataBytes != count) throw Broken($"answered a read of {count} bytes with {reply.DataBytes}");
            destination = destination[count..];
            offset += (ulong)count;
        }
    }

    public async ValueTask WriteRegionAsync(
        int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        while (source.Length > 0)
        {
            int count = Math.Min(source.Length, MaxWriteBytes);
            byte[] head = new byte[RegionAccess.Size];
            new RegionAccess(offset, (uint)region, (uint)count).Write(head);
            await AskAsync(
                (ushort)VfioUserCommand.RegionWrite, head, source[..count], default, default, cancellationToken);
            source = source[count..];
            offset += (ulong)count;
        }
    }

    public async ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken)
    {
        if (window.File is null && window.Target is null)
            throw new ArgumentException($"DMA window {window.Start} has neither a file nor a target");
        byte[] body = new byte[DmaMapRequest.Size];
        uint flags = (window.Readable ? DmaMapRequest.ReadFlag : 0) | (window.Writable ? DmaMapRequest.WriteFlag : 0);
        new DmaMapRequest(flags, window.FileOffset, window.Start.Value, window.SizeBytes).Write(body);
        // The server may use the window before its reply is read here.
        lock (_windowLock) _windows.Add(window);
        try
        {
            await AskAsync(
                (ushort)VfioUserCommand.DmaMap, body, default, default, default, cancellationToken,
                files: window.File is null ? null : [window.File]);
        }
        catch
        {
            lock (_windowLock) _windows.Remove(window);
            throw;
        }
    }

    public async ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken)
    {
        byte[] body = new byte[DmaUnmapRequest.Size];
        new DmaUnmapRequest(0, start.Value, sizeBytes).Write(body);
        await AskAsync((ushort)VfioUserCommand.DmaUnmap, body, default, default, default, cancellationToken);
        lock (_windowLock) _windows.RemoveAll(window => window.Start == start && window.SizeBytes == sizeBytes);
    }

    public async ValueTask SetInterruptsAsync(
        int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken)
    {
        if (eventFds.Count == 0) await SetIrqsAsync(SetIrqsRequest.DataNone, index, 0, 0, [], cancellationToken);
        int atOnce = Math.Max(1, Math.Min(Server.MaxMessageFds, 8));
        for (int start = 0; start < eventFds.Count; start += atOnce)
        {
            var some = eventFds.Skip(start).Take(atOnce).ToArray();
            await SetIrqsAsync(SetIrqsRequest.DataEventFd, index, start, some.Length, some, cancellationToken);
        }
    }

    public async ValueTask ResetAsync(CancellationToken cancellationToken) =>
        await AskAsync(
            (ushort)VfioUserCommand.Reset, default, default, default, default, cancellationToken,
            limit: _options.StateLimit);

    private async ValueTask SetIrqsAsync(
        uint data, int index, int start, int count, SafeFileHandle[] files, CancellationToken cancellationToken)
    {
        byte[] body = new byte[SetIrqsRequest.Size];
        new SetIrqsRequest(data | SetIrqsRequest.ActionTrigger, (uint)index, (uint)start, (uint)count).Write(body);
        await AskAsync(
            (ushort)VfioUserCommand.SetIrqs, body, default, default, default, cancellationToken, files: files);
    }

    /// <summary>Answers the server's DMA_READ and DMA_WRITE, on the socket they came by.</summary>
    private async ValueTask AnswerAsync(MessageChannel channel, IncomingCommand command)
    {
        byte[] buffer = [];
        int length = 0;
        int errno = 0;
        try
        {
            if (command.TooLong || !DmaAccess.TryRead(command.Body.Span, out var access) || access.Count > MaxTransferBytes)
                throw new DeviceRefusedException("malformed DMA message", Errno.EINVAL);
            bool write = command.Header.Command == (ushort)VfioUserCommand.DmaWrite;
            if (!write && command.Header.Command != (ushort)VfioUserCommand.DmaRead)
                throw new DeviceRefusedException("a server only sends DMA messages", Errno.EINVAL);
            var target = FindTarget(access, write);
            length = DmaAccess.Size + (write ? 0 : (int)access.Count);
            buffer = ArrayPool<byte>.Shared.Rent(length);
            access.Write(buffer);
            if (!write)
                await target.ReadAsync(
                    new Iova(access.Address), buffer.AsMemory(DmaAccess.Size, (int)access.Count), CancellationToken.None);
            else if (command.Body.Length == DmaAccess.Size + (int)access.Count)
                await target.WriteAsync(new Iova(access.Address), command.Body[DmaAccess.Size..], CancellationToken.None);
            else
                throw new DeviceRefusedException("a DMA write's data is not of its count", Errno.EINVAL);
        }
        catch (DeviceRefusedException e)
        {
            errno = e.Errno;
        }
        catch (Exception)
        {
            // Whatever befell the target, the device learns that its access failed; the connection is fine.
            errno = Errno.EIO;
        }
        try
        {
            if (!command.Header.WantsReply) return;
            if (errno == 0) await channel.ReplyAsync(command.Header.Reply(length), buffer.AsMemory(0, length), []);
            else await channel.ReplyAsync(command.Header.ErrorReply(errno), default, []);
        }
        finally
        {
            if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private IDmaTarget FindTarget(DmaAccess access, bool write)
    {
        lock (_windowLock)
            foreach (var window in _windows)
                if (access.Address >= window.Start.Value && access.Count <= window.SizeBytes
                    && access.Address - window.Start.Value <= window.SizeBytes - access.Count
                    && (write ? window.Writable : window.Readable) && window.Target is { } target)
                    return target;
        throw new DeviceRefusedException("no window takes this access", Errno.EFAULT);
    }
}
