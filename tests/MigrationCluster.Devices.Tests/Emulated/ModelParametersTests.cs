using MigrationCluster.Devices.Emulated;

namespace MigrationCluster.Devices.Tests.Emulated;

public class ModelParametersTests
{
    [Fact]
    public void Absent_parameters_have_their_defaults()
    {
        var effective = DeviceModels.Check("gpu", new Dictionary<string, string> { ["dirty-rate"] = "5" }).Effective;
        Assert.Equal("256", effective["memory-mib"]);
        Assert.Equal("5", effective["dirty-rate"]);
    }

    [Fact]
    public void All_wrong_parameters_are_named_at_once()
    {
        var wrong = new Dictionary<string, string> { ["queues"] = "0", ["colour"] = "red", ["dma-rate"] = "fast" };
        string message = Assert.Throws<ModelParameterException>(() => DeviceModels.Create("net", wrong)).Message;
        Assert.Contains("'queues' is 0, which is outside 1..64", message, StringComparison.Ordinal);
        Assert.Contains("'colour' is unknown; net has queues, rx-filters", message, StringComparison.Ordinal);
        Assert.Contains("'dma-rate' is 'fast', which is no whole number", message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_model_is_refused_by_name() =>
        Assert.Contains("'fpga' is unknown; there are net, gpu, serial",
            Assert.Throws<ModelParameterException>(() => DeviceModels.Create("fpga", new Dictionary<string, string>())).Message,
            StringComparison.Ordinal);
}
