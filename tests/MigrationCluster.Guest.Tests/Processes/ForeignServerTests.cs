using System.Diagnostics;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Tests.Processes;

/// <summary>Device servers that are started by a command and speak vfio-user alone; ours stand in for them with --plain.</summary>
public class ForeignServerTests
{
    [Fact]
    public async Task A_guest_with_foreign_servers_moves_by_what_vfio_user_alone_carries()
    {
        LaunchDevice[] devices = [Plain("serial0", "serial"), Plain("gpu0", "gpu", "--param", "memory-mib=8", "--param", "dirty-rate=20")];
        var spec = Specs.Still(devices);
        await using var source = await RunningGuest.StartAsync(spec);
        await using var destination = await RunningGuest.StartAsync(spec with { Incoming = true });

        using var move = new LocalMove(source, destination) { AcceptsUnknown = true };
        await move.OpenAsync();
        Assert.Equal(["gpu0", "serial0"], move.Unknown.Order());
        ulong operations = await source.Register(MachineRegisters.RegisterOperations);
        await RunningGuest.Until(async () => await source.Register(MachineRegisters.RegisterOperations) > operations + 30);
        await move.IterateAsync();
        await move.StopAsync();
        await move.FinishAsync();
        operations = await source.Register(MachineRegisters.RegisterOperations);

        await move.SwitchAsync();
        await RunningGuest.Until(async () => await destination.Register(MachineRegisters.RegisterOperations) > operations + 30);
        // The guest's drivers find their registers as they left them.
        var (_, wrong, errors) = await destination.CheckAsync();
        Assert.Equal((0UL, 0UL), (wrong, errors));
    }

    [Fact]
    public async Task A_foreign_server_ends_with_its_guest_process_however_that_ends()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still(Plain("serial0", "serial")));
        using var server = Process.GetProcessById(guest.DeviceServer("serial0"));
        guest.Process.Kill();
        await server.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Theory]
    [InlineData("/bin/false", "the device server of x0 ended at once with status 1")]
    [InlineData("/no/such/server", "cannot start /no/such/server: No such file or directory")]
    public async Task A_foreign_server_that_does_not_come_up_is_named(string program, string expected)
    {
        await using var directory = new GuestDirectory();
        directory.Write(Specs.Still(Command("x0", program, "{socket}")));
        var (code, _, error) = await McGuest.RunAsync("run", "--directory", directory.File(""));
        Assert.Equal(1, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Contains("x0", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_does_not_migrate_serves_its_guest_and_refuses_every_move()
    {
        await using var serial = DeviceModels.Create("serial", new Dictionary<string, string>());
        string socket = Path.Combine(Path.GetTempPath(), $"mcf{Environment.ProcessId}.sock");
        await using var server = VfioUserServer.Start(socket, new Unmigratable(serial), extension: false);
        // The server lives in this process; what the guest process starts only leads to it.
        await using var guest = await RunningGuest.StartAsync(
            Specs.Still(Command("serial0", "/bin/sh", "-c", $"ln -s {socket} {{socket}}; exec sleep 600")));
        var device = guest.Devices["serial0"];

        ulong operations = await guest.Register(MachineRegisters.RegisterOperations);
        await RunningGuest.Until(async () => await guest.Register(MachineRegisters.RegisterOperations) > operations + 10);
        var record = await device.GetSetupRecordAsync(default);
        Assert.Equal(MigrationCapabilities.None, record.Descriptor.Capabilities);
        Assert.Equal(new DeviceIdentity(0x1D55, 0x1003, 0x1D55, 3), record.Descriptor.Identity);
        var reasons = Assert.IsType<Incompatible>(await device.CheckSetupAsync(record, default)).Reasons;
        Assert.Contains(reasons, reason => reason.Code == "device.not-migratable");
        Assert.Equal(DeviceState.Running, await device.GetStateAsync(default));
        await Assert.ThrowsAsync<DeviceRefusedException>(async () => await device.SetStateAsync(DeviceState.StopCopy, default));
    }

    [Fact]
    public async Task A_destination_with_an_older_driver_says_what_it_will_drop_and_what_it_has_dropped()
    {
        static LaunchDevice Net(string driver) => Command(
            "net0", McGuest.Path, "device", "--model", "net", "--driver", driver, "--socket", "{socket}", "--lifeline");
        await using var source = await RunningGuest.StartAsync(Specs.Still(Net("2")));
        await using var destination = await RunningGuest.StartAsync(Specs.Still(Net("1")) with { Incoming = true });
        var verdict = await destination.Devices["net0"].CheckSetupAsync(await source.Devices["net0"].GetSetupRecordAsync(default), default);
        Assert.Equal(["dma-fault", "statistics"], Assert.IsType<Compatible>(verdict).Dropped.Order());

        using var move = new LocalMove(source, destination);
        await move.OpenAsync();
        await move.StopAsync();
        await move.FinishAsync();
        // The device server's line is in the guest's log; dma-fault was not written, so it was not dropped.
        await RunningGuest.Until(() => Task.FromResult(destination.Directory.Log.Contains(
            "net0: net dropped optional state sections that driver 1 does not know: 3\n", StringComparison.Ordinal)));
    }

    private static LaunchDevice Plain(string name, string model, params string[] arguments) =>
        Command(name, [McGuest.Path, "device", "--model", model, "--socket", "{socket}", "--plain", .. arguments]);

    private static LaunchDevice Command(string name, params string[] command) =>
        new(name, null, new Dictionary<string, string>(), [], Command: command);
}
