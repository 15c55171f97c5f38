using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Tests.Migration;

public sealed class DeviceConfigurationTests
{
    /// <summary>004_1f973f60d845ba13.txt: an older implementation does not recognize a parameter, so it cannot be set to its off value.</summary>
    [Fact]
    public void What_is_off_is_left_out_and_what_is_on_is_named()
    {
        var configuration = Assert.Single(DeviceConfiguration.Of(
        [
            Record("net0", ("rx-filter-size", "0", "0"), ("queues", "8", "1")), Record("machine", ("memory-mib", "64", "")),
        ]));

        Assert.Equal("net0", configuration.Device);
        Assert.Equal(("queues", "8"), (Assert.Single(configuration.Parameters).Key, configuration.Parameters["queues"]));
    }

    [Fact]
    public void A_parameter_given_twice_counts_once() =>
        Assert.Equal("8", DeviceConfiguration.Of([Record("net0", ("queues", "8", "1"), ("queues", "4", "1"))])[0].Parameters["queues"]);

    private static SetupRecord Record(string device, params (string Name, string Value, string Off)[] parameters) => new(
        device, 0, DeviceDescriptor.Empty(DescriptorKind.Device) with
        {
            Parameters = [.. parameters.Select(parameter => new ParameterDescriptor(
                parameter.Name, ParameterType.Number, ParameterComparator.Equal, parameter.Value, parameter.Off))],
        });
}
