using MigrationCluster.Devices.Faults;
using MigrationCluster.Devices.Tests.Contract;
using MigrationCluster.Devices.Tests.VfioKernel;
using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.Faults;

/// <summary>Without orders a faulty device is like any other.</summary>
public sealed class FaultyDeviceWithoutOrdersTests() : SampleDeviceContract(
    MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy)
{
    protected override async Task<IMigratableDevice> CreateAsync() => await Contract.ServedDevice.StartAsync(
        new FaultyDevice(await base.CreateAsync(), "/nonexistent/orders", "g", "d", _ => { }));
}

public sealed class FaultyDeviceTests : IAsyncLifetime
{
    private readonly string _orders = Path.GetTempFileName();
    private readonly List<string> _log = [];
    private readonly SampleDevice _sample = new(MigrationCapabilities.StopCopy);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _sample.DisposeAsync();
        File.Delete(_orders);
    }

    [Fact]
    public async Task In_Error_it_does_nothing_until_it_is_reset()
    {
        var device = Faulty(_sample);
        Order(FaultyDevice.Error);
        await RefusedAsync(async () => await device.SetStateAsync(DeviceState.StopCopy, default));
        Order();
        Assert.Equal(DeviceState.Error, await device.GetStateAsync(default));
        await RefusedAsync(async () => await device.ReadDataAsync(new byte[8], default));
        await device.ResetAsync(default);
        Assert.Equal(DeviceState.Running, await device.GetStateAsync(default));
        await device.SetStateAsync(DeviceState.StopCopy, default);
        Assert.Single(_log);
    }

    [Fact]
    public async Task One_that_refuses_stays_where_it_is()
    {
        var device = Faulty(_sample);
        await device.SetStateAsync(DeviceState.StopCopy, default);
        Order(FaultyDevice.Refuse);
        await RefusedAsync(async () => await device.SetStateAsync(DeviceState.Running, default));
        Assert.Equal(DeviceState.StopCopy, await device.GetStateAsync(default));
        Order();
        await device.SetStateAsync(DeviceState.Running, default);
    }

    [Fact]
    public async Task Garbage_is_as_long_as_the_state_and_nothing_like_it()
    {
        var device = Faulty(_sample);
        Order(FaultyDevice.Garbage);
        byte[] garbage = await SaveAsync(device);
        await device.SetStateAsync(DeviceState.Running, default);
        Order();
        byte[] state = await SaveAsync(device);
        Assert.Equal(state.Length, garbage.Length);
        Assert.DoesNotContain(true, state.Zip(garbage, (whole, wrong) => whole == wrong));
    }

    [Fact]
    public async Task A_load_that_is_to_fail_is_refused()
    {
        byte[] state = await SaveAsync(_sample);
        await using var other = new SampleDevice(MigrationCapabilities.StopCopy);
        var device = Faulty(other);
        await device.SetStateAsync(DeviceState.Resuming, default);
        Order(FaultyDevice.FailLoad);
        await RefusedAsync(async () => await device.WriteDataAsync(state, default));
    }

    [Fact]
    public async Task A_kernel_device_refuses_to_run_with_a_load_that_was_cut_short()
    {
        await using var source = await new KernelBench(2).OpenAsync();
        byte[] state = await SaveAsync(source.Device);
        await using var destination = await new KernelBench(2).OpenAsync();
        var device = Faulty(destination.Device);
        Order(FaultyDevice.TruncateLoad);
        await device.SetStateAsync(DeviceState.Resuming, default);
        await device.WriteDataAsync(state.AsMemory(0, 40), default);
        await device.WriteDataAsync(state.AsMemory(40), default);
        var refusal = await Assert.ThrowsAsync<KernelRefusedException>(async () => await device.SetStateAsync(DeviceState.Stop, default));
        Assert.Equal(KernelOutcome.StreamIncomplete, refusal.Outcome);
    }

    [Fact]
    public async Task A_second_answer_ends_the_conversation()
    {
        var device = Faulty(_sample);
        string socket = Path.Combine(Directory.CreateTempSubdirectory("mc-").FullName, "d.sock");
        await using (var server = VfioUserServer.Start(socket, device))
        {
            await using var client = await VfioUserClient.ConnectAsync(socket);
            Order(FaultyDevice.Twice);
            await client.GetStateAsync(default);
            string why = await client.Closed.WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Contains("that nobody sent", why, StringComparison.Ordinal);
        }

        Directory.Delete(Path.GetDirectoryName(socket)!, recursive: true);
    }

    [Fact]
    public async Task Another_guests_orders_are_not_its_own()
    {
        var device = Faulty(_sample);
        await File.WriteAllTextAsync(_orders, FaultyDevice.Order("h", "d", FaultyDevice.Error) + "\n" + FaultyDevice.Order("g", "e", FaultyDevice.Error) + "\n");
        await device.SetStateAsync(DeviceState.StopCopy, default);
        Assert.Empty(_log);
    }

    private FaultyDevice Faulty(IMigratableDevice device) => new(device, _orders, "g", "d", _log.Add);

    private void Order(params string[] faults) => File.WriteAllLines(_orders, faults.Select(fault => FaultyDevice.Order("g", "d", fault)));

    private static async Task<byte[]> SaveAsync(IMigratableDevice device)
    {
        await device.SetStateAsync(DeviceState.StopCopy, default);
        using var saved = new MemoryStream();
        byte[] buffer = new byte[4096];
        for (int read; (read = await device.ReadDataAsync(buffer, default)) > 0;) saved.Write(buffer.AsSpan(0, read));
        return saved.ToArray();
    }

    private static async Task RefusedAsync(Func<Task> act) =>
        Assert.Equal(Errno.EIO, (await Assert.ThrowsAsync<DeviceRefusedException>(act)).Errno);
}
