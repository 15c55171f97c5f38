using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Handlers;

/// <summary>The handlers that are shipped.</summary>
public sealed class HandlersTests
{
    private static readonly DeviceDescriptor Net = Nic(Number("queues", "4")) with
    {
        Model = "net",
        StreamFormatsWritten = ["net/1"],
        StreamFormatsRead = ["net/1"],
        VersionString = "00021d55-net/1:queues=4:registers",
    };

    private static readonly DeviceDescriptor Gpio = Bare with
    {
        Identity = new DeviceIdentity(0x494f, 0x0dc8, 0, 0),
        Regions = [new RegionDescriptor(2, 0x100, true, true, false), new RegionDescriptor(7, 0x100, true, true, false)],
        Interrupts = [new InterruptDescriptor(0, 1), new InterruptDescriptor(3, 1), new InterruptDescriptor(4, 1)],
        Capabilities = MigrationCapabilities.StopCopy,
    };

    private static readonly DeviceDescriptor Mdev = Bare with { VersionString = "00028086-193b-i915-GVTg_V5_4" };

    [Fact]
    public void A_template_that_nothing_is_told_of_is_unknown_and_one_fact_is_enough_to_be_judged()
    {
        var silent = DeviceDescriptor.Empty(DescriptorKind.Template);
        var judged = HandlerChain.Default.Judge(new Candidate(Net, silent));

        Assert.Equal("undescribed", judged.Handler);
        Assert.Equal("device.undescribed", Assert.Single(Assert.IsType<Unknown>(judged.Verdict).Why).Code);
        Assert.NotEqual("undescribed", HandlerChain.Default.Judge(
            new Candidate(Net, silent with { Capabilities = MigrationCapabilities.None })).Handler);
        Assert.NotEqual("undescribed", HandlerChain.Default.Judge(
            new Candidate(Net, silent with { Kind = DescriptorKind.Device })).Handler);
    }

    [Theory]
    [InlineData("net")]
    [InlineData("gpu")]
    [InlineData("serial")]
    [InlineData("legacy")]
    public void Our_models_have_a_handler(string model)
    {
        var device = Net with { Model = model };
        Assert.Equal("emulated", HandlerChain.Default.Judge(new Candidate(device, device)).Handler);
    }

    [Fact]
    public void A_template_of_ours_gets_the_interrupts_of_the_parameters_it_is_created_with()
    {
        var template = (Net with { Interrupts = [new InterruptDescriptor(2, 1)] })
            .With(Number("queues", "1", supported: SupportedValues.Range(0, 8))).AsTemplate();
        Accepts(Net, template);
        Refuses(Net.With(Number("queues", "1")), template, "device.shape-mismatch");
        Refuses(Net, template with { Regions = [], Interrupts = [new InterruptDescriptor(2, 1)], Parameters = Net.Parameters },
            "device.shape-mismatch", "device.shape-mismatch");
    }

    [Fact]
    public void A_device_of_ours_says_what_it_writes() =>
        Refuses(Net with { StreamFormatsWritten = [] }, Net, "device.stream-format-undeclared");

    [Fact]
    public void Another_model_at_the_destination_is_the_generic_handlers()
    {
        Refuses(Net, Nic(Number("queues", "4")), "device.model-mismatch", "device.stream-format-unknown");
        Assert.Equal("generic", HandlerChain.Default.Judge(new Candidate(Net, Nic())).Handler);
    }

    [Fact]
    public void A_mediated_devices_shape_counts_though_its_driver_said_yes()
    {
        var open = Nic() with { Model = null, VersionString = Mdev.VersionString };
        Assert.Equal("mdev", HandlerChain.Default.Judge(new Candidate(open, open, VersionAnswer.Accepted)).Handler);
        Accepts(open, open, VersionAnswer.Accepted);
        Refuses(open, open with { Interrupts = [] }, VersionAnswer.Accepted, "device.shape-mismatch");
        Refuses(open, open with { Interrupts = [] }, VersionAnswer.Refused, "device.shape-mismatch", "device.version-refused");
    }

    [Fact]
    public void A_mediated_device_needs_its_drivers_yes_even_where_lists_agree()
    {
        var set = new Dictionary<string, string> { ["mdev_type"] = "i915-GVTg_V5_4" };
        var listed = Mdev with { Lists = new CompatibilityLists([set], [set]) };
        Doubts(listed, listed, "device.version-not-asked");
        Accepts(listed, listed, VersionAnswer.Accepted);
        Refuses(listed, listed with { VersionString = null }, "device.not-migratable");
    }

    [Fact]
    public void A_mediated_device_whose_driver_shows_no_version_does_not_migrate()
    {
        var stuck = Bare with { Capabilities = MigrationCapabilities.None };
        Refuses(stuck, Mdev, "device.not-migratable", "device.not-migratable");
        Refuses(Mdev, stuck, "device.not-migratable", "device.not-migratable");
    }

    [Fact]
    public void The_foreign_sample_device_is_judged_by_its_shape()
    {
        Assert.Equal(new Judgement(Accepts(Gpio, Gpio), "gpio-pci-idio-16"), HandlerChain.Default.Judge(new Candidate(Gpio, Gpio)));
        Refuses(Gpio, Gpio with { Interrupts = [new InterruptDescriptor(0, 1)] }, "device.shape-mismatch");
        Refuses(Gpio, Gpio with { Identity = new DeviceIdentity(0x494f, 0x0dc9, 0, 0) }, "device.identity-mismatch");
        Refuses(Gpio, Gpio with { Capabilities = MigrationCapabilities.None }, "device.not-migratable");
    }

    [Fact]
    public void A_device_with_the_samples_ids_and_another_shape_is_not_the_one_that_is_known()
    {
        var other = Gpio with { Regions = [new RegionDescriptor(2, 0x200, true, true, false)] };
        Doubts(other, other, "device.no-scheme");
    }

    [Fact]
    public void A_foreign_commands_template_is_left_to_its_device_which_has_to_be_the_same()
    {
        Accepts(Gpio, DeviceDescriptor.Empty(DescriptorKind.Template));
        Doubts(Gpio, DeviceDescriptor.Empty(DescriptorKind.Device), "device.identity-unknown", "device.shape-unknown",
            "device.config-capabilities-unknown", "device.capabilities-unknown");
        Refuses(Gpio, (Nic() with { Model = null }).AsTemplate(), "device.identity-mismatch", "device.shape-mismatch", "device.shape-mismatch",
            "device.config-capabilities-mismatch");
    }
}
