using MigrationCluster.Protocol.Compatibility;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Threads;

/// <summary>The opaque version string of 000_4118618801e454c1.txt. Errnos on a real tree are shown in Devices.Tests/Sysfs.</summary>
public sealed class T000VersionStringTests
{
    private static readonly DeviceDescriptor V54 = Bare with { VersionString = "00028086-193b-i915-GVTg_V5_4" };
    private static readonly DeviceDescriptor V51 = Bare with { VersionString = "00028086-193b-i915-GVTg_V5_1" };
    private static readonly DeviceDescriptor V52 = Bare with { VersionString = "00028086-193b-i915-GVTg_V5_2" };

    [Fact]
    public void T000_a_written_length_that_comes_back_is_compatible() => Accepts(V54, V54, VersionAnswer.Accepted);

    [Fact]
    public void T000_an_errno_is_incompatible()
    {
        var reason = Assert.Single(Refuses(V51, V54, VersionAnswer.Refused, "device.version-refused"));
        Assert.Equal(("00028086-193b-i915-GVTg_V5_1", CompatibilitySide.Destination), (reason.Expected, reason.Side));
    }

    [Fact]
    public void T000_a_type_refuses_another_types_version() =>
        Refuses(V52, V54.AsTemplate(), VersionAnswer.Refused, "device.version-refused");

    [Fact]
    public void T000_without_the_attribute_at_the_destination_it_does_not_migrate()
    {
        Refuses(V54, Bare, VersionAnswer.NotMigratable, "device.not-migratable");
        Refuses(V54, Bare, "device.not-migratable");
    }

    [Fact]
    public void T000_without_the_attribute_at_the_source_it_does_not_migrate() =>
        Assert.Equal(CompatibilitySide.Source, Assert.Single(Refuses(Bare, V54, "device.not-migratable")).Side);

    [Fact]
    public void T000_an_attribute_that_always_answers_an_errno_does_not_migrate() =>
        Refuses(V54, V54, VersionAnswer.NotMigratable, "device.not-migratable");

    [Fact]
    public void T000_the_text_is_never_compared()
    {
        Doubts(V54, V54, "device.version-not-asked");
        Accepts(V51, V54, VersionAnswer.Accepted);
        Refuses(V54, V54, VersionAnswer.Refused, "device.version-refused");
    }

    [Fact]
    public void T000_a_driver_upgrade_may_take_the_older_version_and_not_the_other_way_round()
    {
        Accepts(V51, V54, VersionAnswer.Accepted);
        Refuses(V54, V51, VersionAnswer.Refused, "device.version-refused");
    }

    [Fact]
    public void T000_driver_names_and_versions_are_shown_not_compared() =>
        Accepts(V54 with { Driver = new DriverDescriptor("i915", "5.0") }, V54 with { Driver = new DriverDescriptor("xe", "6.12") },
            VersionAnswer.Accepted);
}
