using System.Net;
using MigrationCluster.DataPlane;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Node.Transfers;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>A real gpu that has initial bytes again, in front of the real source transfer; what it sends ends up nowhere.</summary>
public sealed class ReadinessTests : EndToEndTest
{
    private const string Gpu = "gpu0";

    [Fact]
    public async Task A_device_that_has_initial_bytes_again_sends_them_and_has_them_acknowledged_before_a_pass_is_ready()
    {
        await using var bench = await Bench.StartAsync(Fleet.Files(Fleet.Alpha).Directory);
        Assert.True((await bench.RunAsync(1)).Pass.InitialBytesLoaded);
        Assert.Empty(await bench.Transfer.FindUnreadyAsync(default));
        long before = Assert.Single(bench.Sink.InitialEnds);

        await bench.ReinitializeAsync();
        Assert.Equal([Gpu], (await bench.Transfer.FindUnreadyAsync(default)).Select(device => device.Value));

        // It happens once more, after the destination has all that this pass has sent: so this pass is not ready.
        bench.Sink.OnInitialEnd = bench.ReinitializeAsync;
        Assert.False((await bench.RunAsync(2)).Pass.InitialBytesLoaded);
        Assert.True(bench.Sink.InitialEnds[1] >= before + GpuBytes);

        bench.Sink.OnInitialEnd = () => Task.CompletedTask;
        Assert.True((await bench.RunAsync(3)).Pass.InitialBytesLoaded);
        Assert.True(bench.Sink.InitialEnds[2] >= bench.Sink.InitialEnds[1] + GpuBytes);
        Assert.Empty(await bench.Transfer.FindUnreadyAsync(default));
    }

    /// <summary>As the fleet's template says.</summary>
    private const long GpuBytes = 128L << 20;

    private sealed class Bench(
        SessionDevices devices, DataPlaneListener listener, ScratchRam ram, TransferReceiver receiver, CountingSink sink,
        SourceTransfer transfer) : IAsyncDisposable
    {
        public CountingSink Sink => sink;

        public SourceTransfer Transfer => transfer;

        public static async Task<Bench> StartAsync(string directory)
        {
            var address = new GuestAddress(new GuestName(Fleet.Guest), directory, new Fence(new Epoch(1), new Term(1)));
            var devices = new SessionDevices(
                address, ["net0", Gpu, "serial0", "net1"], "readiness", new RecordingSupervisor(), TimeProvider.System);
            await devices.ProbeAsync(new PeerGraph([], []), default);
            await devices.MoveAsync(new DeviceName(Gpu), DeviceState.PreCopy, null, default);
            await using var machine = (MachineEndpointClient)await address.OpenAsync(DeviceName.Machine, default);
            var ram = new ScratchRam(await machine.GetMemoryLayoutAsync(default));

            var listener = DataPlaneListener.Start(new IPEndPoint(IPAddress.Loopback, 0), TransferOptions.Default);
            var token = new SessionToken(new byte[SessionToken.SizeBytes]);
            var sink = new CountingSink();
            var receiver = listener.Open(token, TransferMode.Plain, ram.Ram, sink, devices.InOrder.Count);
            // Only the gpu's stream is under test: of the others nothing is sent before the end.
            var capabilities = devices.InOrder.ToDictionary(
                device => device.Device.Value,
                device => device.Device.Value == Gpu ? MigrationCapabilities.PreCopy : MigrationCapabilities.StopCopy);
            var transfer = await SourceTransfer.OpenAsync(
                address, devices.InOrder, capabilities, new Dictionary<string, string>(), TransferOptions.Default, TimeProvider.System, default);
            await transfer.ConnectAsync(listener.EndPoint.ToString(), token.ToHexadecimal(), null, default);
            return new Bench(devices, listener, ram, receiver, sink, transfer);
        }

        public async Task<SourceCommand.IterationEnded> RunAsync(int iteration) =>
            (SourceCommand.IterationEnded)await transfer.RunIterationAsync(iteration, 0, default);

        /// <summary>As the guest's driver would.</summary>
        public async Task ReinitializeAsync()
        {
            await using var gpu = await EndpointClient.ConnectAsync(devices.Address.SocketOf(new DeviceName(Gpu)));
            await gpu.WriteRegionAsync(DeviceRegisters.Bar, GpuRegisters.Reinitialize, new byte[8], default);
        }

        public async ValueTask DisposeAsync()
        {
            await transfer.DisposeAsync();
            await receiver.DisposeAsync();
            await listener.DisposeAsync();
            await devices.MoveAsync(new DeviceName(Gpu), DeviceState.Running, null, default);
            await devices.DisposeAsync();
            ram.Dispose();
        }
    }

    /// <summary>Counts what comes of a stream, and remembers where ends of initial bytes stood.</summary>
    private sealed class CountingSink : IDeviceStateSink
    {
        private long _bytes;

        public List<long> InitialEnds { get; } = [];

        public Func<Task> OnInitialEnd { get; set; } = () => Task.CompletedTask;

        public ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken) => new(new DeviceStream(device, 0, 0));

        public ValueTask WriteAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            _bytes += data.Length;
            return ValueTask.CompletedTask;
        }

        public async ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken)
        {
            InitialEnds.Add(_bytes);
            await OnInitialEnd();
        }

        public ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }

    /// <summary>Memory of the guest's layout that belongs to no guest.</summary>
    private sealed unsafe class ScratchRam : IDisposable
    {
        private readonly List<IDisposable> _parts = [];

        public ScratchRam(GuestMemoryLayout layout)
        {
            var windows = layout.Windows.Select(window =>
            {
                var file = Memfd.Create("scratch", (long)window.SizeBytes);
                _parts.Add(file);
                return new MappedWindow(Map(file, (long)window.SizeBytes), file, 0);
            }).ToList();
            var tables = Memfd.Create("tables", TransferTables.SizeBytes(layout.PageCount));
            _parts.Add(tables);
            RandomAccess.Write(tables, [1], TransferTables.LedgerOffset(layout.PageCount));
            Ram = new MappedGuestRam(layout, windows, Map(tables, TransferTables.SizeBytes(layout.PageCount)));
        }

        public MappedGuestRam Ram { get; }

        public void Dispose()
        {
            foreach (var part in Enumerable.Reverse(_parts)) part.Dispose();
        }

        private nint Map(Microsoft.Win32.SafeHandles.SafeFileHandle file, long bytes)
        {
            var memory = MappedMemory.Map(file, 0, bytes);
            _parts.Add(memory);
            // SAFETY: handed on as an address; this object outlives its users.
            return (nint)memory.Pointer;
        }
    }
}
