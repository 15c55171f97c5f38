using System.Net.Sockets;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.Tests.Contract;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

public sealed class VfioUserServerTests
{
    private static readonly byte[] Hello = [0, 0, 0, 0, .. "{}"u8, 0];

    [Fact]
    public async Task A_client_that_leaves_takes_windows_and_interrupts_along_and_leaves_the_state()
    {
        await using var bench = new ServerBench();
        using var file = Memfd.Create("ram", 4096);
        using var eventFd = EventFd.Create();
        var first = await bench.ConnectAsync();
        await first.MapDmaAsync(new DmaWindow(new Iova(0), 4096, true, true, file, 0, null), default);
        await first.SetInterruptsAsync(2, [eventFd], default);
        await first.SetStateAsync(DeviceState.PreCopy, default);
        await first.DisposeAsync();

        var second = await bench.ConnectAsync();
        Assert.Equal((0, 0), (bench.Device.MappedWindows, bench.Device.BoundInterrupts));
        Assert.Equal(DeviceState.PreCopy, await second.GetStateAsync(default));
    }

    [Fact]
    public async Task A_window_left_behind_in_Stop_is_replaced_by_the_next_client()
    {
        await using var bench = new ServerBench();
        using var file = Memfd.Create("ram", 4096);
        var window = new DmaWindow(new Iova(0), 4096, true, true, file, 0, null);
        var first = await bench.ConnectAsync();
        await first.MapDmaAsync(window, default);
        await first.SetStateAsync(DeviceState.Stop, default);
        await first.DisposeAsync();

        var second = await bench.ConnectAsync();
        Assert.Equal(1, bench.Device.MappedWindows);
        await second.SetStateAsync(DeviceState.Running, default);
        await second.MapDmaAsync(window, default);
        Assert.Equal(1, bench.Device.MappedWindows);
    }

    [Fact]
    public async Task A_second_plain_client_waits_for_its_turn()
    {
        await using var bench = new ServerBench();
        var first = await bench.ConnectAsync();
        var waiting = bench.ConnectAsync();
        await first.SetStateAsync(DeviceState.Stop, default);
        Assert.False(waiting.IsCompleted);
        await first.DisposeAsync();
        Assert.Equal(DeviceState.Stop, await (await waiting).GetStateAsync(default));
    }

    [Fact]
    public async Task Nonsense_costs_only_the_connection_it_came_by()
    {
        await using var bench = new ServerBench();
        foreach (byte[] bytes in new byte[][]
        {
            [.. Enumerable.Repeat((byte)0xff, 64)],
            [1, 0, 1, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // a size below the header's
            [1, 0, 1, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0], // neither command nor reply
            [1, 0, 9, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], // a reply to nothing
        })
        {
            var raw = bench.ConnectRaw();
            raw.Send(bytes);
            await raw.ExpectClosedAsync();
        }
        var half = bench.ConnectRaw();
        half.Send([1, 0, 1, 0, 99]);
        await half.DisposeAsync();
        Assert.Equal(DeviceState.Running, await (await bench.ConnectAsync()).GetStateAsync(default));
    }

    [Fact]
    public async Task Malformed_commands_are_answered_with_EINVAL_and_the_conversation_goes_on()
    {
        await using var bench = new ServerBench();
        var raw = bench.ConnectRaw();
        await Refused(VfioUserCommand.DeviceGetInfo, RawPeer.Fields(16, 0, 0, 0)); // before VERSION
        await Refused(VfioUserCommand.Version, [1, 0, 0, 0, .. "{}"u8, 0]);
        await Refused(VfioUserCommand.Version, [0, 0, 0, 0, .. "{}"u8]);
        await Refused(VfioUserCommand.Version, [0, 0, 0, 0, .. """{"capabilities":7}"""u8, 0]);
        await Refused(VfioUserCommand.Version, [0, 0, 0, 0, .. """{"capabilities":{"max_msg_fds":"x"}}"""u8, 0]);
        var (version, _) = await raw.AskAsync(VfioUserCommand.Version, Hello);
        Assert.False(version.IsError);

        await Refused(VfioUserCommand.Version, Hello);
        await Refused(VfioUserCommand.DeviceGetInfo, []);
        await Refused(VfioUserCommand.GetRegionInfo, RawPeer.Fields(32, 0, 99, 0, 0, 0, 0, 0));
        await Refused(VfioUserCommand.RegionRead, RawPeer.Fields(0, 0, 0, uint.MaxValue));
        await Refused(VfioUserCommand.RegionWrite, [.. RawPeer.Fields(0, 0, 0, 8), 1, 2, 3]);
        await Refused(VfioUserCommand.RegionWrite, [.. RawPeer.Fields(0, 0, 7, 4), 1, 2, 3, 4]); // read-only
        await Refused(VfioUserCommand.DmaMap, RawPeer.Fields(32, 64, 0, 0, 0, 0, 4096, 0)); // unknown flag
        await Refused(VfioUserCommand.DmaMap, RawPeer.Fields(32, 7, 0, 0, 0, 0, 4096, 0)); // needs a descriptor
        await Refused(VfioUserCommand.DmaMap, RawPeer.Fields(32, 3, 0, 0, 0xfffff000, 0xffffffff, 8192, 0)); // wraps
        await Refused(VfioUserCommand.DmaUnmap, RawPeer.Fields(24, 0, 4096, 0, 4096, 0), Errno.ENOENT);
        await Refused(VfioUserCommand.SetIrqs, RawPeer.Fields(20, 0x24, 9, 0, 0));
        await Refused(VfioUserCommand.SetIrqs, RawPeer.Fields(20, 8 | 1, 2, 0, 1)); // masking
        await Refused(VfioUserCommand.DeviceFeature, RawPeer.Fields(8, 1 << 16 | 1)); // no room for the reply
        await Refused(VfioUserCommand.DeviceFeature, RawPeer.Fields(16, 1 << 17 | 2, 0, 0)); // to Error
        await Refused(VfioUserCommand.DeviceFeature, RawPeer.Fields(32, 1 << 16 | 8, 0, 0, 0, 0, 0, 0)); // no log
        await Refused(VfioUserCommand.MigrationDataRead, RawPeer.Fields(uint.MaxValue, uint.MaxValue - 8));
        await Refused((VfioUserCommand)14, []);
        await Refused((VfioUserCommand)ExtensionCommand.ReadFence, []); // the extension was not asked for

        var (state, body) = await raw.AskAsync(VfioUserCommand.DeviceFeature, RawPeer.Fields(16, 1 << 16 | 2));
        Assert.False(state.IsError);
        Assert.Equal(RawPeer.Fields(16, 1 << 16 | 2, 2, uint.MaxValue), body);

        async Task Refused(VfioUserCommand command, byte[] request, int errno = Errno.EINVAL)
        {
            var (header, reply) = await raw.AskAsync(command, request);
            Assert.True(header.IsError, $"{command} was accepted");
            Assert.Equal((errno, 0), ((int)header.Errno, reply.Length));
        }
    }

    [Fact]
    public async Task A_message_too_long_is_read_away_and_refused()
    {
        await using var bench = new ServerBench();
        var raw = bench.ConnectRaw();
        await raw.AskAsync(VfioUserCommand.Version, Hello);
        byte[] head = new byte[VfioUserHeader.Size];
        VfioUserHeader.ForCommand(9, (ushort)VfioUserCommand.RegionWrite, 3 << 20).Write(head);
        raw.Send(head);
        // The socket buffer is smaller than the body, so the server must be reading meanwhile.
        byte[] piece = new byte[64 << 10];
        for (int left = 3 << 20; left > 0; left -= piece.Length) await raw.SendAllAsync(piece);
        var (header, _) = await raw.ReceiveAsync();
        Assert.Equal((true, (uint)Errno.EINVAL), (header.IsError, header.Errno));
        var (info, _) = await raw.AskAsync(VfioUserCommand.DeviceGetInfo, RawPeer.Fields(16, 0, 0, 0));
        Assert.False(info.IsError);
    }

    [Fact]
    public async Task A_command_that_wants_no_reply_gets_none()
    {
        await using var bench = new ServerBench();
        var raw = bench.ConnectRaw();
        await raw.AskAsync(VfioUserCommand.Version, Hello);
        byte[] message = new byte[VfioUserHeader.Size + 24];
        var header = VfioUserHeader.ForCommand(1, (ushort)VfioUserCommand.RegionWrite, 24);
        (header with { Flags = VfioUserHeader.NoReplyFlag }).Write(message);
        RawPeer.Fields(0, 0, 0, 8, 0xabcd, 0).CopyTo(message, VfioUserHeader.Size);
        raw.Send(message);
        var (_, read) = await raw.AskAsync(VfioUserCommand.RegionRead, RawPeer.Fields(0, 0, 0, 8));
        Assert.Equal(RawPeer.Fields(0, 0, 0, 8, 0xabcd, 0), read);
    }

    [Fact]
    public async Task Starting_where_another_server_listens_is_refused_and_a_stale_file_is_replaced()
    {
        await using var bench = new ServerBench();
        var failure = Assert.Throws<IOException>(() => VfioUserServer.Start(bench.SocketPath, bench.Device));
        Assert.Contains(bench.SocketPath, failure.Message, StringComparison.Ordinal);
        await bench.ConnectAsync();

        string stale = bench.SocketPath + "2";
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(bench.SocketPath + "1"));
            File.Move(bench.SocketPath + "1", stale);
        }
        Assert.True(File.Exists(stale));
        var server = VfioUserServer.Start(stale, bench.Device);
        await using (await VfioUserClient.ConnectAsync(stale)) Assert.Equal(1, server.ConnectionCount);
        await server.DisposeAsync();
        Assert.False(File.Exists(stale));
    }

    [Fact]
    public async Task A_path_too_long_is_refused_by_name()
    {
        string path = "/tmp/" + new string('x', 103);
        await using var device = new SampleDevice(ServerBench.All);
        Assert.Contains(path, Assert.Throws<ArgumentException>(() => VfioUserServer.Start(path, device)).Message,
            StringComparison.Ordinal);
        var failure = await Assert.ThrowsAsync<ArgumentException>(() => VfioUserClient.ConnectAsync(path));
        Assert.Contains("108 bytes", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_device_should_not_throw_is_EIO_to_the_client_and_told_to_the_owner()
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        bench.Device.Hang = Task.FromException(new InvalidOperationException("a bug"));
        var refusal = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await client.SetStateAsync(DeviceState.Stop, default));
        Assert.Equal((Errno.EIO, "a bug"), (refusal.Errno, refusal.Message));
        Assert.IsType<InvalidOperationException>(Assert.Single(bench.Faults));
        bench.Faults.Clear();
    }

    [Fact]
    public async Task The_server_holds_the_table_of_allowed_actions_for_a_device_that_does_not()
    {
        await using var bench = new ServerBench();
        bench.Device.Lax = true;
        using var file = Memfd.Create("ram", 4096);
        using var eventFd = EventFd.Create();
        var client = await bench.ConnectAsync();
        await client.StartDirtyLogAsync(4096, default);
        await client.MapDmaAsync(new DmaWindow(new Iova(0), 4096, true, true, file, 0, null), default);
        var actions = new Dictionary<DeviceAction, Func<ValueTask>>
        {
            [DeviceAction.RegisterAccess] = () => client.ReadRegionAsync(0, 0, new byte[8], default),
            [DeviceAction.InterruptSetup] = () => client.SetInterruptsAsync(2, [eventFd], default),
            [DeviceAction.DmaMap] = () => client.MapDmaAsync(
                new DmaWindow(new Iova(0), 4096, true, true, file, 0, null), default),
            [DeviceAction.DataRead] = async () => await client.ReadDataAsync(new byte[8], default),
            [DeviceAction.DirtyReport] = () => client.ReportDirtyAsync(new Iova(0), 4096, new byte[8], default),
        };
        foreach (var state in Enum.GetValues<DeviceState>().Where(state => state != DeviceState.Error))
        {
            await client.SetStateAsync(state, default);
            foreach (var (action, take) in actions)
            {
                var failure = await Record.ExceptionAsync(async () => await take());
                bool allowed = AllowedActions.Allows(BackEnd.VfioUser, state, action);
                Assert.True(allowed == failure is null, $"{action} in {state}: {failure?.Message ?? "was accepted"}");
                if (failure is not null) Assert.Equal($"the device allows no {action} in {state}", failure.Message);
            }
            await client.ResetAsync(default);
        }
    }
}
