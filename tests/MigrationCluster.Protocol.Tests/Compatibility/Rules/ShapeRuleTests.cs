using MigrationCluster.Protocol.Compatibility;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Rules;

/// <summary>Identity, regions, interrupts and config space.</summary>
public sealed class ShapeRuleTests
{
    public static TheoryData<string, DeviceDescriptor> Others => new()
    {
        { "device.identity-mismatch", Nic() with { Identity = new DeviceIdentity(0x8086, 0x10d3, 0x8086, 0x0002) } },
        { "device.shape-mismatch", Nic() with { Regions = [Nic().Regions[0] with { SizeBytes = 0x40000 }, Nic().Regions[1]] } },
        { "device.shape-mismatch", Nic() with { Regions = [Nic().Regions[0] with { Mappable = false }, Nic().Regions[1]] } },
        { "device.shape-mismatch", Nic() with { Regions = [Nic().Regions[0] with { Writable = false }, Nic().Regions[1]] } },
        { "device.shape-mismatch", Nic() with { Regions = [Nic().Regions[0]], ConfigCapabilities = Nic().ConfigCapabilities } },
        { "device.shape-mismatch", Nic() with { Interrupts = [new InterruptDescriptor(0, 1), new InterruptDescriptor(2, 6)] } },
        { "device.shape-mismatch", Nic() with { Interrupts = [] } },
        { "device.config-capabilities-mismatch", Nic() with { ConfigCapabilities = [0x01, 0x11, 0x05] } },
        { "device.config-capabilities-mismatch", Nic() with { ConfigCapabilities = [] } },
    };

    [Theory, MemberData(nameof(Others))]
    public void Refuses_what_the_guest_would_see(string code, DeviceDescriptor other)
    {
        Refuses(Nic(), other, code);
        Refuses(other, Nic(), code);
        Refuses(Nic(), other.AsTemplate(), code);
    }

    [Fact]
    public void Config_space_of_another_size_is_a_mismatch_of_regions_even_without_capabilities()
    {
        var plain = Nic() with { ConfigCapabilities = [] };
        Refuses(plain, plain with { Regions = [plain.Regions[0], plain.Regions[1] with { SizeBytes = 4096 }] }, "device.shape-mismatch");
        Accepts(plain, plain);
    }

    [Fact]
    public void The_order_of_regions_is_without_meaning() =>
        Accepts(Nic(), Nic() with { Regions = [.. Nic().Regions.Reverse()], Interrupts = [.. Nic().Interrupts.Reverse()] });

    [Fact]
    public void All_that_differs_is_named() =>
        Refuses(Nic(), Nic() with { Identity = new DeviceIdentity(1, 2, 3, 4), Regions = [], Interrupts = [new(0, 2)], ConfigCapabilities = [1] },
            "device.identity-mismatch", "device.shape-mismatch", "device.shape-mismatch", "device.config-capabilities-mismatch");

    [Fact]
    public void A_device_that_does_not_say_what_the_other_says_leaves_a_doubt()
    {
        var silent = Nic() with { Identity = null, Regions = [], Interrupts = [], ConfigCapabilities = [], Capabilities = null };
        string[] codes =
            ["device.identity-unknown", "device.shape-unknown", "device.config-capabilities-unknown", "device.capabilities-unknown"];
        Assert.All(Doubts(Nic(), silent, codes), reason => Assert.Equal(CompatibilitySide.Destination, reason.Side));
        Assert.All(Doubts(silent, Nic(), codes), reason => Assert.Equal(CompatibilitySide.Source, reason.Side));
    }

    [Fact]
    public void What_a_template_cannot_know_its_device_confirms_later() =>
        Accepts(Nic(), (Nic() with { Identity = null, Regions = [], Interrupts = [], ConfigCapabilities = [], Capabilities = null }).AsTemplate());

    [Fact]
    public void A_template_that_would_be_created_with_other_values_may_have_another_shape()
    {
        var template = Nic(Number("queues", "1", supported: SupportedValues.Range(0, 8))) with { Interrupts = [new InterruptDescriptor(2, 1)] };
        Doubts(Nic(Number("queues", "4")), template.AsTemplate(), "device.shape-unknown");
        Refuses(Nic(Number("queues", "1")), template.AsTemplate(), "device.shape-mismatch");
    }
}
