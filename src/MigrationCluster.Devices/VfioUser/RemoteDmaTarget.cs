using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>A window without a descriptor: the device's DMA goes back to the client as DMA_READ and DMA_WRITE.</summary>
/// <param name="maxBytes">data bytes the client takes in one message.</param>
internal sealed class RemoteDmaTarget(MessageChannel channel, int maxBytes, TimeSpan limit) : IDmaTarget
{
    public async ValueTask ReadAsync(Iova address, Memory<byte> destination, CancellationToken cancellationToken)
    {
        for (ulong at = address.Value; destination.Length > 0;)
        {
            int count = Math.Min(destination.Length, maxBytes);
            var answered = await ExchangeAsync(
                VfioUserCommand.DmaRead, new DmaAccess(at, (ulong)count), default, destination[..count], cancellationToken);
            if (answered != count) throw new DeviceRefusedException($"DMA read answered with {answered} bytes", Errno.EIO);
            destination = destination[count..];
            at += (ulong)count;
        }
    }

    public async ValueTask WriteAsync(Iova address, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        for (ulong at = address.Value; source.Length > 0;)
        {
            int count = Math.Min(source.Length, maxBytes);
            await ExchangeAsync(
                VfioUserCommand.DmaWrite, new DmaAccess(at, (ulong)count), source[..count], default, cancellationToken);
            source = source[count..];
            at += (ulong)count;
        }
    }

    private async ValueTask<int> ExchangeAsync(
        VfioUserCommand command, DmaAccess access, ReadOnlyMemory<byte> data, Memory<byte> replyData,
        CancellationToken cancellationToken)
    {
        byte[] head = new byte[DmaAccess.Size];
        byte[] replyHead = new byte[DmaAccess.Size];
        access.Write(head);
        try
        {
            var reply = await channel.CallAsync(
                (ushort)command, head, data, Array.Empty<SafeFileHandle>(), replyHead, replyData, keepRest: false, limit,
                cancellationToken);
            foreach (var file in reply.Files) file.Dispose();
            if (reply.IsError)
                throw new DeviceRefusedException(
                    $"{command} at 0x{access.Address:x} refused with {Errno.Name(reply.Errno)}", reply.Errno);
            return reply.DataBytes;
        }
        catch (DeviceLostException e)
        {
            // To the device this is one access that nothing takes; its own connection is not at fault.
            throw new DeviceRefusedException($"{command} at 0x{access.Address:x}: {e.Message}", Errno.ENOTCONN);
        }
    }
}
