using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Tests.Processes;

/// <summary>save_setup at real guests: records come from the devices themselves, and a refusal names everything at once.</summary>
public class SetupTests
{
    [Fact]
    public async Task A_record_is_what_the_device_itself_says_and_not_what_the_launch_file_says()
    {
        var old = new LaunchDevice("net0", null, new Dictionary<string, string>(), [],
            Command: [McGuest.Path, "device", "--model", "net", "--driver", "1", "--socket", "{socket}", "--lifeline"]);
        await using var guest = await RunningGuest.StartAsync(Specs.Still(old));
        var descriptor = (await guest.Devices["net0"].GetSetupRecordAsync(default)).Descriptor;

        Assert.Equal(("net", "1"), (descriptor.Model, descriptor.Driver!.Version));
        Assert.DoesNotContain(descriptor.Parameters, parameter => parameter.Name == "rx-filter-size");
        Assert.DoesNotContain("statistics", descriptor.SectionsRead);
        Assert.Equivalent(descriptor, await guest.Devices["net0"].DescribeAsync(default), strict: true);
    }

    [Fact]
    public async Task A_version_is_expanded_once_and_only_parameters_are_compared()
    {
        var version = Specs.Device("net0", "net", []) with { Version = "2" };
        var spelled = Specs.Device("net0", "net", [], ("rx-filter-size", "32"));
        await using var source = await RunningGuest.StartAsync(Specs.Still(version));
        await using var destination = await RunningGuest.StartAsync(Specs.Still(spelled) with { Incoming = true });
        var record = await source.Devices["net0"].GetSetupRecordAsync(default);
        Assert.Equal("32", record.Descriptor.Parameters.Single(parameter => parameter.Name == "rx-filter-size").Value);
        Assert.IsType<Compatible>(await destination.Devices["net0"].CheckSetupAsync(record, default));
    }

    [Fact]
    public async Task The_destination_device_itself_is_asked_about_the_version_string()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still(Specs.Device("serial0", "serial", [])) with { Incoming = true });
        var serial = guest.Devices["serial0"];
        var own = await serial.GetSetupRecordAsync(default);
        Assert.IsType<Compatible>(await serial.CheckSetupAsync(own, default));

        var other = own with { Descriptor = own.Descriptor with { VersionString = "00021d55-serial/2::registers" } };
        var refused = Assert.IsType<Incompatible>(await serial.CheckSetupAsync(other, default));
        Assert.Equal("device.version-refused", Assert.Single(refused.Reasons).Code);
    }

    [Fact]
    public async Task Another_slot_other_devices_and_other_queues_are_found_all_at_once_and_nothing_has_moved()
    {
        await using var source = await RunningGuest.StartAsync(
            Specs.Still(Specs.Device("net0", "net", []), Specs.Device("serial0", "serial", [])));
        await using var destination = await RunningGuest.StartAsync(Specs.Still(
            Specs.Device("serial0", "serial", []), Specs.Device("net0", "net", [], ("queues", "8")),
            Specs.Device("serial1", "serial", [])) with
        { Incoming = true });

        var net = await Refused(source, destination, "net0");
        Assert.Contains(net, reason => reason is { Code: "device.slot-mismatch", Expected: "slot 0", Actual: "slot 1" });
        Assert.Contains(net, reason => reason is { Code: "device.parameter-mismatch", Expected: "queues=4", Actual: "queues=8" });
        Assert.Contains(net, reason => reason.Code == "device.shape-mismatch");
        Assert.Contains(net, reason => reason.Code == "device.version-refused");

        var machine = Assert.IsType<Incompatible>(
            await destination.Machine.CheckSetupAsync(await source.Machine.GetSetupRecordAsync(default), default)).Reasons;
        Assert.Contains(machine, reason => reason.Expected == "slot-0=net0 interrupt 2 x 4" && reason.Actual == "slot-0=serial0 interrupt 2 x 1");
        Assert.Contains(machine, reason => reason.Expected == "slot-1=serial0 interrupt 2 x 1" && reason.Actual == "slot-1=net0 interrupt 2 x 8");
        Assert.Contains(machine, reason => reason.Actual.Contains("slot-2=serial1", StringComparison.Ordinal));

        foreach (var (_, device) in source.All) Assert.Equal(DeviceState.Running, await device.GetStateAsync(default));
        Assert.Equal(0UL, (await destination.Devices["net0"].GetStreamDigestAsync(default)).Bytes);
    }

    [Fact]
    public async Task Another_config_space_is_found()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still(Specs.Device("serial0", "serial", [])) with { Incoming = true });
        var own = await guest.Devices["serial0"].GetSetupRecordAsync(default);
        var other = own with { Descriptor = own.Descriptor with { ConfigCapabilities = [0x05, 0x11], Identity = own.Descriptor.Identity! with { Subsystem = 9 } } };
        var reasons = Assert.IsType<Incompatible>(await guest.Devices["serial0"].CheckSetupAsync(other, default)).Reasons;
        Assert.Equal(2, reasons.Count);
    }

    private static async Task<IReadOnlyList<CompatibilityReason>> Refused(RunningGuest source, RunningGuest destination, string device) =>
        Assert.IsType<Incompatible>(await destination.Devices[device].CheckSetupAsync(
            await source.Devices[device].GetSetupRecordAsync(default), default)).Reasons;
}
