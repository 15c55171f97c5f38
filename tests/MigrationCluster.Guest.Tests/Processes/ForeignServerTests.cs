using System.Diagnostics;
using MigrationCluster.Protocol.Guests;

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

    private static LaunchDevice Plain(string name, string model, params string[] arguments) =>
        Command(name, [McGuest.Path, "device", "--model", model, "--socket", "{socket}", "--plain", .. arguments]);

    private static LaunchDevice Command(string name, params string[] command) =>
        new(name, null, new Dictionary<string, string>(), [], Command: command);
}
