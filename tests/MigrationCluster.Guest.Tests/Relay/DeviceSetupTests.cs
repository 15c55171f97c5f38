using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Guest.Tests.Relay;

public class DeviceSetupTests
{
    private static readonly SetupRecord Source = new(
        "net0", "net", ["0:4096", "irq2:4"], 7, new Dictionary<string, string> { ["queues"] = "4", ["dma-rate"] = "20" },
        null, ["net/1"], ["net/1"]);

    [Fact]
    public void An_equal_device_takes_the_state() => Assert.Empty(DeviceSetup.Compare(Source, Source));

    [Fact]
    public void Every_reason_is_named_at_once()
    {
        var own = new SetupRecord(
            "net9", "gpu", ["0:8192"], 5, new Dictionary<string, string> { ["queues"] = "8", ["colour"] = "red" },
            "v2", ["gpu/2"], ["gpu/2"]);
        var codes = DeviceSetup.Compare(Source, own).Select(mismatch => mismatch.Code);
        Assert.Equal(
            [
                "device.name-mismatch", "device.model-mismatch", "device.parameter-mismatch", "device.parameter-missing",
                "device.parameter-unexpected", "device.shape-mismatch", "device.capability-missing",
                "device.version-mismatch", "device.stream-format-unknown",
            ],
            codes);
    }
}
