using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Json;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Rules;

/// <summary>Which schemes decide, and how what they say becomes one verdict.</summary>
public sealed class SchemesTests
{
    private static readonly DeviceDescriptor Foreign = Nic() with { Model = null };

    [Fact]
    public void A_device_that_speaks_no_scheme_is_unknown() => Doubts(Foreign, Foreign, "device.no-scheme");

    [Fact]
    public void A_device_that_speaks_no_scheme_is_incompatible_with_another_shape_and_its_doubt_is_listed_too() =>
        Refuses(Foreign, Foreign with { Interrupts = [] }, "device.shape-mismatch", "device.no-scheme");

    [Fact]
    public void A_model_name_at_one_side_only_leaves_a_doubt()
    {
        Doubts(Nic(), Foreign, "device.model-unknown");
        Doubts(Foreign, Nic(), "device.model-unknown");
    }

    [Fact]
    public void A_version_string_beside_another_scheme_waits_for_the_devices_answer()
    {
        var source = Nic() with { VersionString = "x" };
        Accepts(source, source with { VersionString = "y" });
        Accepts(source, Nic());
        Refuses(source, source, VersionAnswer.Refused, "device.version-refused");
        Refuses(source, Nic(), VersionAnswer.NotMigratable, "device.not-migratable");
    }

    [Fact]
    public void A_yes_to_a_string_that_the_source_does_not_have_is_none() =>
        Assert.IsType<Unknown>(Judge(Foreign, Foreign, VersionAnswer.Accepted));

    [Fact]
    public void A_device_without_StopCopy_does_not_migrate()
    {
        var stuck = Nic() with { Capabilities = MigrationCapabilities.None };
        Assert.Equal(CompatibilitySide.Destination, Assert.Single(Refuses(Nic() with { Capabilities = MigrationCapabilities.StopCopy }, stuck,
            "device.not-migratable")).Side);
        Assert.Equal(CompatibilitySide.Source, Assert.Single(Refuses(stuck, Nic(), "device.not-migratable")).Side);
    }

    [Fact]
    public void A_stream_format_that_the_destination_does_not_read_is_refused()
    {
        var newer = Nic() with { StreamFormatsWritten = ["e1000e/2"], StreamFormatsRead = ["e1000e/1", "e1000e/2"] };
        Refuses(newer, Nic(), "device.stream-format-unknown");
        Accepts(Nic(), newer);
        Refuses(Nic(), Nic() with { StreamFormatsRead = [] }, "device.stream-format-unknown");
    }

    [Fact]
    public void A_required_section_written_in_a_rare_case_is_listed_with_the_refusals()
    {
        var source = Nic() with { SectionsWritten = [new("a", true), new("b", true, Rare: true), new("c", false), new("registers", true)] };
        Refuses(source, Nic(), "device.section-required", "device.section-possible");
    }

    [Fact]
    public void A_text_of_thousands_of_characters_is_shown_shortened()
    {
        var reason = Assert.Single(Refuses(Nic() with { Model = new string('x', 4096) }, Nic(), "device.model-mismatch"));
        Assert.Equal($"{new string('x', 256)}… (4096 characters)", reason.Expected);
    }

    [Fact]
    public void Two_devices_that_differ_in_everything_get_a_verdict_that_fits_into_a_reply()
    {
        DeviceDescriptor Hostile(char name, ParameterType type) => Nic([.. Enumerable.Range(0, 1024).Select(i => new ParameterDescriptor(
            new string(name, 250) + i, type, ParameterComparator.Equal, new string('\u0950', 300), "0"))]);
        var reasons = Assert.IsType<Incompatible>(Judge(Hostile('\u0950', ParameterType.Text), Hostile('\u0951', ParameterType.Number))).Reasons;
        Assert.Equal(2 * 96 + 1, reasons.Count);
        Assert.Equal(("device.more-reasons", $"{2048 - 2 * 96} more reasons"), (reasons[^1].Code, reasons[^1].Actual));
        Assert.InRange(SetupJson.Write(new Incompatible(reasons)).Length, 0, DescriptorLimits.Bytes);
    }
}
