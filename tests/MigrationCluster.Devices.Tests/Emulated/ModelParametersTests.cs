using MigrationCluster.Devices.Emulated;

namespace MigrationCluster.Devices.Tests.Emulated;

public class ModelParametersTests
{
    private static readonly Dictionary<string, string> None = [];

    [Fact]
    public void Absent_parameters_are_off()
    {
        var parameters = DeviceModels.Check("gpu", null, new Dictionary<string, string> { ["dirty-rate"] = "5" });
        Assert.Equal(256UL, parameters["memory-mib"]);
        Assert.Equal(5UL, parameters["dirty-rate"]);
    }

    [Fact]
    public void All_wrong_parameters_are_named_at_once()
    {
        var wrong = new Dictionary<string, string> { ["queues"] = "0", ["colour"] = "red", ["dma-rate"] = "fast" };
        string message = Assert.Throws<ModelParameterException>(() => DeviceModels.Create("net", wrong)).Message;
        Assert.Contains("'queues' is 0, which is outside 1..64", message, StringComparison.Ordinal);
        Assert.Contains("'colour' is unknown; net has queues, rx-filter-size", message, StringComparison.Ordinal);
        Assert.Contains("'dma-rate' is 'fast', which is no whole number", message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_model_is_refused_by_name() => Refused("'fpga' is unknown; there are net, gpu, serial", () => DeviceModels.Create("fpga", None));

    // 004_1f973f60d845ba13.txt: "version=1 - Behaves as if rx-filter-size=0", "version=2 - rx-filter-size=32", and version 1 "must be
    // empty, otherwise an older device implementation that only supports version=1 cannot instantiate the device".
    [Fact]
    public void A_version_expands_to_its_parameters_and_sets_nothing_for_what_is_off()
    {
        Assert.Empty(DeviceModels.Expand("net", "1", None));
        Assert.Equal(new Dictionary<string, string> { ["rx-filter-size"] = "32" }, DeviceModels.Expand("net", "2", None));
    }

    [Fact]
    public void Explicit_parameters_win_over_a_version() => Assert.Equal(
        new Dictionary<string, string> { ["rx-filter-size"] = "16", ["queues"] = "2" },
        DeviceModels.Expand("net", "2", new Dictionary<string, string> { ["queues"] = "2", ["rx-filter-size"] = "16" }));

    [Fact]
    public void An_unknown_version_is_refused_with_the_known_ones() =>
        Refused("net: version '3' is unknown; there are 1, 2", () => DeviceModels.Expand("net", "3", None));

    // 004: "The older device implementation does not recognize the rx-filter-size configuration parameter".
    [Fact]
    public async Task An_older_driver_makes_version_1_and_does_not_know_the_parameters_of_version_2()
    {
        await using var old = DeviceModels.Create("net", DeviceModels.Expand("net", "1", None), driver: 1);
        Refused("'rx-filter-size' is unknown; net has queues, dma-rate",
            () => DeviceModels.Create("net", DeviceModels.Expand("net", "2", None), driver: 1));
        Refused("driver 9 is unknown; there are 1, 2", () => DeviceModels.Create("net", None, driver: 9));
    }

    private static void Refused(string expected, Action action) =>
        Assert.Contains(expected, Assert.Throws<ModelParameterException>(action).Message, StringComparison.Ordinal);
}
