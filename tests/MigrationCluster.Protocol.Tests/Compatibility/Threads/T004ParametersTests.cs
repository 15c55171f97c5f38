using MigrationCluster.Protocol.Compatibility;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Threads;

/// <summary>Device models, configuration parameters, versions and state sections of 004_1f973f60d845ba13.txt.</summary>
public sealed class T004ParametersTests
{
    private static readonly IReadOnlyList<ModelVersion> Versions =
    [
        new("1", new Dictionary<string, string>()),
        new("2", new Dictionary<string, string> { ["rx-filter-size"] = "32" }),
    ];

    /// <summary>An implementation that was written before rx-filter-size.</summary>
    private static readonly DeviceDescriptor OldHost = Nic().AsTemplate();

    private static readonly DeviceDescriptor NewHost =
        Nic(Number("rx-filter-size", "32", supported: SupportedValues.Of("0", "32"))).AsTemplate();

    [Fact]
    public void T004_a_model_is_an_identifier_and_its_https_is_dropped()
    {
        Accepts(Nic() with { Model = "https://qemu.org/devices/e1000e" }, Nic());
        Refuses(Nic() with { Model = "qemu.org/devices/e1000" }, Nic(), "device.model-mismatch");
        Refuses(Nic() with { Model = "example.org/devices/e1000e" }, Nic(), "device.model-mismatch");
    }

    [Fact]
    public void T004_version_1_sets_nothing_so_that_an_old_implementation_can_instantiate_it()
    {
        Assert.Empty(ModelVersion.Expand(Versions, "1", new Dictionary<string, string>())!);
        Accepts(Instantiated("1"), OldHost);
    }

    [Fact]
    public void T004_version_2_is_rx_filter_size_32() =>
        Assert.Equal("32", ModelVersion.Expand(Versions, "2", new Dictionary<string, string>())!["rx-filter-size"]);

    [Fact]
    public void T004_version_1_behaves_as_rx_filter_size_0()
    {
        Accepts(Instantiated("1"), Nic(Number("rx-filter-size", "0")));
        Accepts(Nic(Number("rx-filter-size", "0")), Instantiated("1"));
        Refuses(Instantiated("1"), Nic(Number("rx-filter-size", "32")), "device.parameter-unexpected");
    }

    [Fact]
    public void T004_from_an_old_implementation_to_a_new_one_the_device_stays_at_its_version() =>
        Accepts(Instantiated("1"), NewHost);

    [Fact]
    public void T004_from_a_new_implementation_back_only_as_version_1_or_its_full_configuration()
    {
        Accepts(Instantiated("1"), OldHost);
        Accepts(Nic(Number("rx-filter-size", "0")), OldHost);
        var reason = Assert.Single(Refuses(Instantiated("2"), OldHost, "device.parameter-unknown"));
        Assert.Equal(("rx-filter-size=32", "unknown, so off (0)"), (reason.Expected, reason.Actual));
    }

    [Fact]
    public void T004_once_instantiated_versions_play_no_role()
    {
        var spelled = ModelVersion.Expand(Versions, "1", new Dictionary<string, string> { ["rx-filter-size"] = "32" })!;
        Accepts(Instantiated("2"), Of(spelled));
        Accepts(Of(spelled), Instantiated("2"));
    }

    [Fact]
    public void T004_an_unknown_version_expands_to_nothing_at_all() =>
        Assert.Null(ModelVersion.Expand(Versions, "3", new Dictionary<string, string>()));

    [Theory]
    [InlineData("1000", "1000", true)]
    [InlineData("1000", "10000", false)]
    public void T004_a_configurable_link_speed_does_not_change_unexpectedly(string source, string own, bool accepted)
    {
        var (from, to) = (Nic(Number("link-speed", source)), Nic(Number("link-speed", own)));
        if (accepted)
            Accepts(from, to);
        else
            Refuses(from, to, "device.parameter-mismatch");
    }

    [Theory]
    [InlineData("1000", "10000", true)]
    [InlineData("10000", "1000", false)]
    public void T004_a_link_speed_that_may_grow_is_declared_so(string source, string own, bool accepted)
    {
        var (from, to) = (Nic(Number("link-speed", source, ParameterComparator.AtLeast)), Nic(Number("link-speed", own, ParameterComparator.AtLeast)));
        if (accepted)
            Accepts(from, to);
        else
            Refuses(from, to, "device.parameter-mismatch");
    }

    [Fact]
    public void T004_a_link_speed_hidden_from_the_guest_or_reloaded_later_is_no_parameter() =>
        Accepts(Nic(), Nic() with { Driver = new DriverDescriptor("e1000e", "1.0, port of 10 Gb/s") });

    [Fact]
    public void T004_a_link_speed_that_is_part_of_the_state_is_a_section()
    {
        var source = Nic() with { SectionsWritten = [.. Nic().SectionsWritten, new SectionDescriptor("link", Required: true)] };
        Accepts(source, Nic() with { SectionsRead = ["registers", "link"] });
        Refuses(source, Nic(), "device.section-required");
    }

    [Fact]
    public void T004_stereo_moves_to_surround_hardware_that_can_emulate_it() =>
        Accepts(Nic(Number("channels", "2")), Nic(Number("channels", "8", supported: SupportedValues.Of("2", "8"))).AsTemplate());

    [Fact]
    public void T004_stereo_is_refused_by_a_surround_device() =>
        Refuses(Nic(Number("channels", "2")), Nic(Number("channels", "8")), "device.parameter-mismatch");

    [Fact]
    public void T004_stereo_that_the_guest_learns_to_change_or_a_monitor_plugged_in_is_no_parameter() =>
        Accepts(Nic(), Nic() with { Driver = new DriverDescriptor("snd", "7.1 output, monitor connected") });

    [Fact]
    public void T004_a_register_that_version_1_forgot_is_a_required_section_of_version_2()
    {
        var fixedDevice = Nic() with { SectionsWritten = [.. Nic().SectionsWritten, new SectionDescriptor("register-x", Required: true)] };
        Refuses(fixedDevice, Nic(), "device.section-required");
        Accepts(Nic(), fixedDevice with { SectionsRead = ["registers", "register-x"] });
    }

    [Fact]
    public void T004_extra_data_for_the_rare_case_that_X_is_5_leaves_a_doubt()
    {
        var source = Nic() with { SectionsWritten = [.. Nic().SectionsWritten, new SectionDescriptor("x-is-5", Required: true, Rare: true)] };
        Doubts(source, Nic(), "device.section-possible");
        Accepts(source, Nic() with { SectionsRead = ["registers", "x-is-5"] });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void T004_optional_data_that_the_destination_never_heard_of_is_dropped_and_reported(bool rare)
    {
        var source = Nic() with { SectionsWritten = [.. Nic().SectionsWritten, new SectionDescriptor("statistics", Required: false, rare)] };
        var verdict = Accepts(source, Nic());
        Assert.Equal(["statistics"], verdict.Dropped);
        Assert.Equal(new CompatibilityRank(1, 0, 0), verdict.Rank);
    }

    private static DeviceDescriptor Instantiated(string version) =>
        Of(ModelVersion.Expand(Versions, version, new Dictionary<string, string>())!);

    private static DeviceDescriptor Of(IReadOnlyDictionary<string, string> values) =>
        Nic([.. values.Select(value => Number(value.Key, value.Value))]);
}
