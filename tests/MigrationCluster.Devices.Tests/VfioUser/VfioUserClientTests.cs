using System.Buffers.Binary;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.Tests.Contract;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

public sealed class VfioUserClientTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_devices_DMA_without_a_descriptor_comes_back_to_the_windows_target(bool twinSocket)
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync(new VfioUserClientOptions { TwinSocket = twinSocket });
        Assert.Equal(twinSocket, client.HasTwinSocket);
        var target = new MemoryTarget();
        await client.MapDmaAsync(new DmaWindow(new Iova(0x8000), 0x1000, true, true, null, 0, target), default);
        for (int i = 0; i < 3; i++)
            await client.WriteRegionAsync(0, SampleDevice.Doorbell, BitConverter.GetBytes(0x8010ul), default);
        Assert.Equal(3ul, BinaryPrimitives.ReadUInt64LittleEndian(target.Bytes.AsSpan(0x10)));
    }

    [Fact]
    public async Task A_targets_refusal_reaches_the_device()
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        var target = new MemoryTarget { Refuse = true };
        await client.MapDmaAsync(new DmaWindow(new Iova(0x8000), 0x1000, true, true, null, 0, target), default);
        var refusal = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await client.WriteRegionAsync(0, SampleDevice.Doorbell, BitConverter.GetBytes(0x8010ul), default));
        Assert.Equal(Errno.EBUSY, refusal.Errno);
    }

    [Fact]
    public async Task A_device_may_not_write_a_read_only_window()
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        await client.MapDmaAsync(
            new DmaWindow(new Iova(0x8000), 0x1000, true, false, null, 0, new MemoryTarget()), default);
        var refusal = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await client.WriteRegionAsync(0, SampleDevice.Doorbell, BitConverter.GetBytes(0x8010ul), default));
        Assert.Equal(Errno.EFAULT, refusal.Errno);
    }

    [Fact]
    public async Task More_interrupts_than_a_message_carries_are_bound_in_parts()
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        using var ram = Memfd.Create("ram", 4096);
        await client.MapDmaAsync(new DmaWindow(new Iova(0), 4096, true, true, ram, 0, null), default);
        SafeFileHandle[] eventFds = [.. Enumerable.Range(0, SampleDevice.Vectors).Select(_ => EventFd.Create())];
        await client.SetInterruptsAsync(2, eventFds, default);
        Assert.Equal(SampleDevice.Vectors, bench.Device.BoundInterrupts);
        await client.WriteRegionAsync(0, SampleDevice.Doorbell, BitConverter.GetBytes(0ul), default);
        Assert.Equal(1ul, EventFd.Take(eventFds[^1]));
        Assert.All(eventFds[..^1], eventFd => Assert.Equal(0ul, EventFd.Take(eventFd)));
        await client.SetInterruptsAsync(2, [], default);
        Assert.Equal(0, bench.Device.BoundInterrupts);
        foreach (var eventFd in eventFds) eventFd.Dispose();
    }

    [Fact]
    public async Task A_mappable_region_is_the_devices_own_memory()
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        using var memory = client.MapRegion(SampleDevice.MemoryRegion);
        Assert.Equal(SampleDevice.MemoryBytes, memory.Length);
        memory.Span(1000, 4).Fill(0x5a);
        byte[] read = new byte[4];
        await client.ReadRegionAsync(SampleDevice.MemoryRegion, 1000, read, default);
        Assert.Equal(new byte[] { 0x5a, 0x5a, 0x5a, 0x5a }, read);
        await client.WriteRegionAsync(SampleDevice.MemoryRegion, 2000, new byte[] { 1, 2, 3 }, default);
        Assert.Equal(new byte[] { 1, 2, 3 }, memory.Span(2000, 3).ToArray());
        Assert.Throws<DeviceRefusedException>(() => client.MapRegion(0));
    }

    /// <summary>Each side says how much data one message to it may carry, and a server holds what it is asked for against what its client said.</summary>
    [Fact]
    public async Task State_is_read_into_a_buffer_of_any_size_from_a_server_without_the_extension()
    {
        await using var bench = new ServerBench(extension: false);
        var client = await bench.ConnectAsync();
        Assert.False(client.SpeaksExtension);
        await client.SetStateAsync(DeviceState.Stop, default);
        await client.SetStateAsync(DeviceState.StopCopy, default);
        Assert.NotEqual(0, await client.ReadDataAsync(new byte[VfioUserClient.MaxTransferBytes + 1], default));
    }

    [Fact]
    public async Task Initial_and_dirty_bytes_come_over_our_extension()
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        await client.SetStateAsync(DeviceState.PreCopy, default);
        Assert.Equal(new PreCopyBytes(SampleDevice.ContentBytes, 17), await client.GetPreCopyBytesAsync(default));
    }

    [Theory]
    [InlineData(2, 10, 60)]
    [InlineData(20, 20, 60)]
    [InlineData(90, 90, 90)]
    public void Patience_lengthens_limits_and_shortens_none(int least, int command, int state)
    {
        var options = VfioUserClientOptions.Patient(TimeSpan.FromSeconds(least));

        Assert.Equal((command, state), (options.CommandLimit.TotalSeconds, options.StateLimit.TotalSeconds));
    }

    [Fact]
    public async Task A_device_that_does_not_answer_is_lost_after_the_time_limit()
    {
        var hang = new TaskCompletionSource();
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync(new VfioUserClientOptions { StateLimit = TimeSpan.FromMilliseconds(100) });
        bench.Device.Hang = hang.Task;
        var loss = await Assert.ThrowsAsync<DeviceLostException>(
            async () => await client.SetStateAsync(DeviceState.Stop, default));
        Assert.Contains("time limit", loss.Message, StringComparison.Ordinal);
        var later = await Assert.ThrowsAsync<DeviceLostException>(async () => await client.GetStateAsync(default));
        Assert.Contains("time limit", later.Message, StringComparison.Ordinal);
        Assert.Contains("time limit", await client.Closed, StringComparison.Ordinal);
        hang.SetResult();
    }

    [Fact]
    public async Task A_command_in_flight_fails_when_the_server_goes()
    {
        var hang = new TaskCompletionSource();
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        bench.Device.Hang = hang.Task;
        var stopping = client.SetStateAsync(DeviceState.Stop, default).AsTask();
        var closing = bench.Server.DisposeAsync().AsTask();
        await Assert.ThrowsAsync<DeviceLostException>(() => stopping);
        await client.Closed;
        hang.SetResult();
        await closing;
    }

    [Fact]
    public async Task Nobody_listening_is_a_lost_device_named_by_its_path()
    {
        var loss = await Assert.ThrowsAsync<DeviceLostException>(() => VfioUserClient.ConnectAsync("/tmp/mc-nobody.sock"));
        Assert.Contains("/tmp/mc-nobody.sock", loss.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_error_reply_with_a_body_and_a_padded_data_reply_keep_the_conversation_in_step()
    {
        await using var fake = new FakeServer();
        var connecting = VfioUserClient.ConnectAsync(fake.Path, new VfioUserClientOptions { TwinSocket = false });
        var peer = await fake.AcceptAsync();
        await using var client = await connecting;

        var refusedState = client.SetStateAsync(DeviceState.Stop, default).AsTask();
        var (command, body) = await peer.ReceiveAsync();
        peer.Reply(command.ErrorReply(Errno.EINVAL, body.Length), body);
        Assert.Equal(Errno.EINVAL, (await Assert.ThrowsAsync<DeviceRefusedException>(() => refusedState)).Errno);

        byte[] buffer = new byte[16];
        var reading = client.ReadDataAsync(buffer, default).AsTask();
        (command, _) = await peer.ReceiveAsync();
        // All 16 bytes asked for come, of which three are data.
        byte[] padded = [.. RawPeer.Fields(24, 3), 7, 8, 9, .. new byte[13]];
        peer.Reply(command.Reply(padded.Length), padded);
        Assert.Equal(3, await reading);
        Assert.Equal(new byte[] { 7, 8, 9 }, buffer[..3]);

        // A plain server gets at most 128 KiB in one request.
        var writing = client.WriteDataAsync(new byte[300_000], default).AsTask();
        int taken = 0;
        while (taken < 300_000)
        {
            (command, body) = await peer.ReceiveAsync();
            Assert.InRange(command.SizeBytes, 17u, 128u << 10);
            taken += body.Length - MigrationData.Size;
            peer.Reply(command.Reply(0), []);
        }
        await writing;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    public async Task A_dirty_report_without_its_bitmap_is_no_clean_report(int bitmapBytes)
    {
        await using var fake = new FakeServer();
        var connecting = VfioUserClient.ConnectAsync(fake.Path, new VfioUserClientOptions { TwinSocket = false });
        var peer = await fake.AcceptAsync();
        await using var client = await connecting;
        var starting = client.StartDirtyLogAsync(4096, default).AsTask();
        for (int i = 0; i < 2; i++) // STOP for a log left behind, START
        {
            var (log, echo) = await peer.ReceiveAsync();
            if (i == 0) peer.Reply(log.ErrorReply(Errno.EINVAL), []);
            else peer.Reply(log.Reply(echo.Length), echo);
        }
        await starting;

        byte[] bitmap = new byte[16];
        var reporting = client.ReportDirtyAsync(new Iova(0), 128 * 4096, bitmap, default).AsTask();
        var (command, body) = await peer.ReceiveAsync();
        byte[] reply = [.. body, .. new byte[bitmapBytes]];
        peer.Reply(command.Reply(reply.Length), reply);
        Assert.Equal(Errno.EPROTO, (await Assert.ThrowsAsync<DeviceRefusedException>(() => reporting)).Errno);
    }

    [Fact]
    public async Task A_server_that_talks_nonsense_is_dropped()
    {
        await using var fake = new FakeServer();
        var connecting = VfioUserClient.ConnectAsync(fake.Path, new VfioUserClientOptions { TwinSocket = false });
        var peer = await fake.AcceptAsync();
        await using var client = await connecting;
        var asking = client.GetStateAsync(default).AsTask();
        var (command, body) = await peer.ReceiveAsync();
        peer.Reply((command with { Id = (ushort)(command.Id + 1) }).Reply(body.Length), body);
        await Assert.ThrowsAsync<DeviceLostException>(() => asking);
        await peer.ExpectClosedAsync();
    }

    [Fact]
    public async Task A_server_that_refuses_the_probe_is_not_migratable_and_dropped()
    {
        await using var fake = new FakeServer();
        var connecting = VfioUserClient.ConnectAsync(fake.Path, new VfioUserClientOptions { TwinSocket = false });
        var peer = await fake.AcceptAsync();
        await using var client = await connecting;
        var probing = client.ProbeMigrationAsync(default).AsTask();
        var (command, _) = await peer.ReceiveAsync();
        peer.Reply(command.ErrorReply(Errno.EINVAL), []);
        Assert.Equal(MigrationCapabilities.None, await probing);
        await Assert.ThrowsAsync<DeviceLostException>(async () => await client.GetStateAsync(default));
    }

    [Fact]
    public async Task A_server_that_stops_inside_a_reply_is_lost_after_the_time_limit()
    {
        await using var fake = new FakeServer();
        var connecting = VfioUserClient.ConnectAsync(
            fake.Path, new VfioUserClientOptions { TwinSocket = false, CommandLimit = TimeSpan.FromMilliseconds(500) });
        var peer = await fake.AcceptAsync();
        await using var client = await connecting;
        var asking = client.ReadDataAsync(new byte[100], default).AsTask();
        var (command, _) = await peer.ReceiveAsync();
        byte[] head = new byte[VfioUserHeader.Size];
        command.Reply(108).Write(head);
        peer.Send([.. head, .. RawPeer.Fields(108, 100), 1, 2, 3]);
        await Assert.ThrowsAsync<DeviceLostException>(() => asking);
    }

    [Fact]
    public async Task DMA_outside_every_window_or_of_absurd_size_is_refused_and_the_conversation_goes_on()
    {
        await using var fake = new FakeServer();
        var connecting = VfioUserClient.ConnectAsync(fake.Path, new VfioUserClientOptions { TwinSocket = false });
        var peer = await fake.AcceptAsync();
        await using var client = await connecting;
        foreach (var (request, errno) in new[]
        {
            (RawPeer.Fields(0x8000, 0, 8, 0), Errno.EFAULT),
            (RawPeer.Fields(0x8000, 0, 0, 1), Errno.EINVAL),
            (RawPeer.Fields(0x8000), Errno.EINVAL),
        })
        {
            var (header, _) = await peer.AskAsync(VfioUserCommand.DmaRead, request);
            Assert.Equal((true, (uint)errno), (header.IsError, header.Errno));
        }
        var resetting = client.ResetAsync(default).AsTask();
        var (command, _) = await peer.ReceiveAsync();
        peer.Reply(command.Reply(0), []);
        await resetting;
    }

    private sealed class MemoryTarget : IDmaTarget
    {
        public byte[] Bytes { get; } = new byte[0x1000];
        public bool Refuse { get; init; }

        public ValueTask ReadAsync(Iova address, Memory<byte> destination, CancellationToken cancellationToken)
        {
            if (Refuse) throw new DeviceRefusedException("not now", Errno.EBUSY);
            Bytes.AsSpan((int)(address.Value - 0x8000), destination.Length).CopyTo(destination.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(Iova address, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
        {
            source.Span.CopyTo(Bytes.AsSpan((int)(address.Value - 0x8000)));
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>A plain server of somebody else's, one region, no interrupts, whose every later byte the test says.</summary>
    private sealed class FakeServer : IAsyncDisposable
    {
        private readonly string _directory = Directory.CreateTempSubdirectory("mc-").FullName;
        private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private RawPeer? _peer;

        public FakeServer()
        {
            Path = System.IO.Path.Combine(_directory, "f.sock");
            _listener.Bind(new UnixDomainSocketEndPoint(Path));
            _listener.Listen(1);
        }

        public string Path { get; }

        public async Task<RawPeer> AcceptAsync()
        {
            _peer = new RawPeer(await _listener.AcceptAsync());
            byte[][] replies =
            [
                VersionMessage.Write(1, new VersionCapabilities(MaxMessageFds: 8)),
                RawPeer.Fields(16, 2, 1, 0),
                RawPeer.Fields(32, 3, 0, 0, 4096, 0, 0, 0),
            ];
            foreach (byte[] reply in replies)
            {
                var (command, _) = await _peer.ReceiveAsync();
                _peer.Reply(command.Reply(reply.Length), reply);
            }
            return _peer;
        }

        public async ValueTask DisposeAsync()
        {
            if (_peer is not null) await _peer.DisposeAsync();
            _listener.Dispose();
            Directory.Delete(_directory, recursive: true);
        }
    }
}
