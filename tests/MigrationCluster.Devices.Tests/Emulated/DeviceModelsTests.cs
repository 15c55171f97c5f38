using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.Emulated;

public class DeviceModelsTests
{
    private static readonly Dictionary<string, string> None = [];

    [Fact]
    public void A_template_says_what_this_host_could_create()
    {
        var net = DeviceModels.Describe("net", "2", new Dictionary<string, string> { ["queues"] = "8" });

        Assert.Equal(DescriptorKind.Template, net.Kind);
        Assert.Equal("net", net.Model);
        Assert.Equal(new DeviceIdentity(0x1D55, 0x1001, 0x1D55, 1), net.Identity);
        Assert.Equal([new InterruptDescriptor(2, 8)], net.Interrupts);
        Assert.Equal([0, 7], net.Regions.Select(region => region.Index));
        Assert.Equal([0x11], net.ConfigCapabilities);
        Assert.Equal(new DriverDescriptor("mc-guest", "2"), net.Driver);
        Assert.Equal(["net/1"], net.StreamFormatsWritten);
        Assert.Equal(MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy, net.Capabilities);
        var filter = Assert.Single(net.Parameters, p => p.Name == "rx-filter-size");
        Assert.Equal(("32", "0", ParameterType.Number), (filter.Value, filter.Off, filter.Type));
        Assert.Equal((0UL, 4096UL), (filter.Supported!.Minimum, filter.Supported.Maximum));
    }

    // 004_1f973f60d845ba13.txt: "When the parameter is disabled the hardware interface and device state representation are unchanged."
    [Fact]
    public void A_section_that_a_parameter_brings_is_not_written_while_the_parameter_is_off()
    {
        Assert.DoesNotContain(DeviceModels.Describe("net", "1", None).SectionsWritten, section => section.Name == "rx-filter");
        Assert.Contains(new SectionDescriptor("rx-filter", Required: true), DeviceModels.Describe("net", "2", None).SectionsWritten);
    }

    [Fact]
    public void Required_optional_and_rare_sections_are_declared_as_such()
    {
        var net = DeviceModels.Describe("net", null, None).SectionsWritten;
        Assert.Contains(new SectionDescriptor("registers", Required: true), net);
        Assert.Contains(new SectionDescriptor("statistics", Required: false), net);
        Assert.Contains(new SectionDescriptor("dma-fault", Required: false, Rare: true), net);
        Assert.Contains(new SectionDescriptor("overrun", Required: true, Rare: true), DeviceModels.Describe("serial", null, None).SectionsWritten);
    }

    [Theory]
    [InlineData("net")]
    [InlineData("gpu")]
    [InlineData("serial")]
    [InlineData("legacy")]
    public async Task A_created_device_is_what_its_template_said(string model)
    {
        var template = DeviceModels.Describe(model, null, None);
        await using var device = DeviceModels.Create(model, None);
        var actual = await device.DescribeAsync(default);

        byte[] config = new byte[DeviceRegisters.ConfigSpaceBytes];
        await device.ReadRegionAsync(DeviceRegisters.ConfigSpace, 0, config, default);
        var (identity, capabilities) = PciIdentity.Read(config);
        Assert.Equal(DescriptorKind.Device, actual.Kind);
        Assert.Equal(template.Parameters, actual.Parameters);
        Assert.Equal((template.Identity, template.VersionString), (actual.Identity, actual.VersionString));
        Assert.Equal(actual.Identity, identity);
        Assert.Equal(actual.ConfigCapabilities, capabilities);
        Assert.Equal(actual.Capabilities, await device.ProbeMigrationAsync(default));
        var shape = DescriptorShape.Of(DescriptorKind.Device, device.Shape);
        Assert.Equal(actual.Regions, shape.Regions);
        Assert.Equal(actual.Interrupts, shape.Interrupts);
    }

    [Fact]
    public void Every_model_is_known_to_the_handler_of_emulated_devices() => Assert.All(DeviceModels.Names, model =>
    {
        var template = DeviceModels.Describe(model, null, None);
        Assert.Equal("emulated", HandlerChain.Default.Judge(new Candidate(template, template)).Handler);
    });
}
