using System.Text;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

/// <summary>QEMU 11.1 as a client, replayed: what it sends to any vfio-user server before a guest boots.</summary>
public sealed class QemuOpeningTests
{
    private const string Hello =
        """{"capabilities":{"pgsizes":4096,"max_msg_fds":16,"max_dma_maps":65535,"max_data_xfer_size":1048576,"migration":{"max_bitmap_size":268435456,"pgsize":4096},"write_multiple":true}}""";

    [Fact]
    public async Task A_server_accepts_QEMUs_opening()
    {
        await using var bench = new ServerBench();
        var qemu = bench.ConnectRaw();

        var (_, version) = await Accepted(qemu, VfioUserCommand.Version, [0, 0, 0, 0, .. Encoding.ASCII.GetBytes(Hello), 0]);
        Assert.True(VersionMessage.TryRead(version, out ushort minor, out var server, out _));
        Assert.Equal(0, minor);
        Assert.Equal((false, null), (server.TwinSocket, server.Extension));

        using var ram = Memfd.Create("qemu-ram", 1 << 20);
        using var bios = Memfd.Create("qemu-bios", 1 << 20);
        // RAM; a read-only window of the firmware; a window without a descriptor; one read-only and without.
        await Accepted(qemu, VfioUserCommand.DmaMap, Map(3, 0, 0, 0xa0000), ram);
        await Accepted(qemu, VfioUserCommand.DmaMap, Map(1, 0, 0xc0000, 0x20000), bios);
        await Accepted(qemu, VfioUserCommand.DmaMap, Map(3, 0, 0xfd000000, 0x1000000));
        await Accepted(qemu, VfioUserCommand.DmaMap, Map(1, 0, 0xfffc0000, 0x40000));
        Assert.Equal(4, bench.Device.MappedWindows);

        var (_, info) = await Accepted(qemu, VfioUserCommand.DeviceGetInfo, RawPeer.Fields(16, 0, 0, 0));
        Assert.Equal(RawPeer.Fields(16, 3, 9, 5), info);

        uint[] sizes = [4096, 64 << 10, 0, 0, 0, 0];
        for (uint region = 0; region < 6; region++)
            Assert.Equal(sizes[region], (await DescribeAsync(qemu, region)).SizeBytes);
        Assert.Equal(256u, (await DescribeAsync(qemu, 7)).SizeBytes);

        var (_, config) = await Accepted(qemu, VfioUserCommand.RegionRead, RawPeer.Fields(0, 0, 7, 256));
        Assert.Equal(16 + 256, config.Length);

        using var eventFd = EventFd.Create();
        // 0x24: eventfd, trigger. INTx and the error interrupt.
        await Accepted(qemu, VfioUserCommand.SetIrqs, RawPeer.Fields(20, 0x24, 0, 0, 1), eventFd);
        await Accepted(qemu, VfioUserCommand.SetIrqs, RawPeer.Fields(20, 0x24, 3, 0, 1), eventFd);
        await Accepted(qemu, VfioUserCommand.Reset, []);
        Assert.Equal(1, bench.Device.Resets);
    }

    [Fact]
    public async Task A_device_reaches_memory_without_a_descriptor_over_QEMUs_only_socket()
    {
        await using var bench = new ServerBench();
        var qemu = bench.ConnectRaw();
        await Accepted(qemu, VfioUserCommand.Version, [0, 0, 0, 0, .. Encoding.ASCII.GetBytes(Hello), 0]);
        await Accepted(qemu, VfioUserCommand.DmaMap, Map(3, 0, 0xfd000000, 0x1000));

        // The doorbell's reply comes after the device's own read and write of the address it was given.
        byte[] ring = [.. RawPeer.Fields(2048, 0, 0, 8), .. RawPeer.Fields(0xfd000010, 0)];
        byte[] message = new byte[VfioUserHeader.Size + ring.Length];
        VfioUserHeader.ForCommand(7, (ushort)VfioUserCommand.RegionWrite, ring.Length).Write(message);
        ring.CopyTo(message, VfioUserHeader.Size);
        qemu.Send(message);

        var (read, readBody) = await qemu.ReceiveAsync();
        Assert.Equal((ushort)VfioUserCommand.DmaRead, read.Command);
        Assert.Equal(RawPeer.Fields(0xfd000010, 0, 8, 0), readBody);
        qemu.Reply(read.Reply(24), [.. readBody, 41, 0, 0, 0, 0, 0, 0, 0]);
        var (write, writeBody) = await qemu.ReceiveAsync();
        Assert.Equal((ushort)VfioUserCommand.DmaWrite, write.Command);
        Assert.Equal([.. readBody, 42, 0, 0, 0, 0, 0, 0, 0], writeBody);
        qemu.Reply(write.Reply(16), readBody);
        var (done, _) = await qemu.ReceiveAsync();
        Assert.Equal((7, (ushort)VfioUserCommand.RegionWrite, false), (done.Id, done.Command, done.IsError));
    }

    private static async Task<(VfioUserHeader, byte[])> Accepted(
        RawPeer qemu, VfioUserCommand command, byte[] body, params Microsoft.Win32.SafeHandles.SafeFileHandle[] files)
    {
        var (header, reply) = await qemu.AskAsync(command, body, files);
        Assert.False(header.IsError, $"{command} answered {Errno.Name((int)header.Errno)}");
        return (header, reply);
    }

    private static async Task<GetRegionInfo> DescribeAsync(RawPeer qemu, uint index)
    {
        var (_, body) = await Accepted(
            qemu, VfioUserCommand.GetRegionInfo, RawPeer.Fields(32, 0, index, 0, 0, 0, 0, 0));
        Assert.True(GetRegionInfo.TryRead(body, out var region));
        return region;
    }

    private static byte[] Map(uint flags, ulong fileOffset, ulong iova, ulong size)
    {
        byte[] body = new byte[DmaMapRequest.Size];
        new DmaMapRequest(flags, fileOffset, iova, size).Write(body);
        return body;
    }
}
