using System.Text;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Json;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Threads;

/// <summary>Self and compatible lists and x.y.z of 003_b9f02fe024437e51.txt.</summary>
public sealed class T003ListsTests
{
    /// <summary>The proposal as it stands in the thread: commas missing before three "pv-mode", and too many after three of them.</summary>
    private const string AsWritten = """
        { "self" : [ { "pciid" : "8086591d", "driver" : "i915", "gvt-version" : "v1", "mdev_type" : "i915-GVTg_V5_2",
            "aggregator" : "1", "pv-mode" : "none", } ],
          "compatible" : [
            { "pciid" : "8086591d", "driver" : "i915", "gvt-version" : "v1", "mdev_type" : "i915-GVTg_V5_2",
              "aggregator" : "1" "pv-mode" : "none", },
            { "pciid" : "8086591d", "driver" : "i915", "gvt-version" : "v1", "mdev_type" : "i915-GVTg_V5_4",
              "aggregator" : "2" "pv-mode" : "none", },
            { "pciid" : "8086591d", "driver" : "i915", "gvt-version" : "v2", "mdev_type" : "i915-GVTg_V5_4",
              "aggregator" : "2" "pv-mode" : "none, ppgtt, context", }
            ... ] }
        """;

    /// <summary>Our transcription; docs/compatibility.md has it too.</summary>
    private const string Transcribed = """
        { "self": [
            { "pciid": "8086591d", "driver": "i915", "gvt-version": "v1", "mdev_type": "i915-GVTg_V5_2", "aggregator": "1", "pv-mode": "none" }
          ],
          "compatible": [
            { "pciid": "8086591d", "driver": "i915", "gvt-version": "v1", "mdev_type": "i915-GVTg_V5_2", "aggregator": "1", "pv-mode": "none" },
            { "pciid": "8086591d", "driver": "i915", "gvt-version": "v1", "mdev_type": "i915-GVTg_V5_4", "aggregator": "2", "pv-mode": "none" },
            { "pciid": "8086591d", "driver": "i915", "gvt-version": "v2", "mdev_type": "i915-GVTg_V5_4", "aggregator": "2",
              "pv-mode": "none, ppgtt, context" }
          ] }
        """;

    private static readonly DeviceDescriptor Listed = Bare with { Lists = Read(Transcribed) };

    [Fact]
    public void T003_the_proposal_as_written_is_no_JSON_and_refused_with_its_place()
    {
        Assert.False(CompatibilityListsJson.TryRead(Encoding.UTF8.GetBytes(AsWritten), out _, out var refusal));
        Assert.Equal(("json.malformed", "$.self[0].pv-mode"), (refusal.Code, refusal.Path));
    }

    [Fact]
    public void T003_the_transcription_is_read()
    {
        Assert.Single(Listed.Lists!.Self);
        Assert.Equal(["none", "none", "none, ppgtt, context"], Listed.Lists.Compatible.Select(set => set["pv-mode"]));
    }

    [Fact]
    public void T003_a_device_takes_what_it_is_where_it_lists_itself() => Accepts(Listed, Listed);

    [Theory]
    [InlineData("v1", "i915-GVTg_V5_2", "1", "none", true)]
    [InlineData("v1", "i915-GVTg_V5_4", "2", "none", true)]
    [InlineData("v2", "i915-GVTg_V5_4", "2", "none", true)]
    [InlineData("v2", "i915-GVTg_V5_4", "2", "context", true)]
    [InlineData("v2", "i915-GVTg_V5_4", "2", "ppgtt,none", true)]
    [InlineData("v2", "i915-GVTg_V5_4", "2", "none, ppgtt, context, other", false)]
    [InlineData("v2", "i915-GVTg_V5_4", "2", "", false)]
    [InlineData("v1", "i915-GVTg_V5_4", "2", "ppgtt", false)]
    [InlineData("v1", "i915-GVTg_V5_4", "1", "none", false)]
    [InlineData("v2", "i915-GVTg_V5_2", "1", "none", false)]
    [InlineData("v1", "i915-GVTg_V5_8", "1", "none", false)]
    public void T003_all_attributes_of_one_listed_set_agree_and_a_set_has_all_members(
        string version, string type, string aggregator, string mode, bool listed)
    {
        var source = Self(("pciid", "8086591d"), ("driver", "i915"), ("gvt-version", version), ("mdev_type", type),
            ("aggregator", aggregator), ("pv-mode", mode));
        if (listed)
            Accepts(source, Listed);
        else
            Refuses(source, Listed, "device.not-listed");
    }

    [Fact]
    public void T003_an_attribute_that_only_one_side_has_is_a_difference()
    {
        Refuses(Self(("driver", "i915"), ("pv-mode", "none")), Takes(("driver", "i915")), "device.not-listed");
        Refuses(Self(("driver", "i915")), Takes(("driver", "i915"), ("pv-mode", "none")), "device.not-listed");
    }

    [Fact]
    public void T003_a_refusal_names_the_nearest_listed_set()
    {
        var source = Self(("pciid", "8086591d"), ("driver", "i915"), ("gvt-version", "v3"), ("mdev_type", "i915-GVTg_V5_4"),
            ("aggregator", "2"), ("pv-mode", "context"));
        Assert.Equal("nearest in its list differs in gvt-version=v2 instead of v3",
            Assert.Single(Refuses(source, Listed, "device.not-listed")).Actual);
    }

    [Fact]
    public void T003_v1_cannot_know_v2_it_is_done_in_reverse()
    {
        DeviceDescriptor v1 = Version("v1", "v1"), v2 = Version("v2", "v1", "v2"), v3 = Version("v3", "v2", "v3");
        Accepts(v1, v2);
        Refuses(v2, v1, "device.not-listed");
        Accepts(v2, v3);
        Refuses(v1, v3, "device.not-listed");
    }

    [Fact]
    public void T003_v2_plus_is_a_text_and_nothing_later() =>
        Refuses(Version("v3"), Version("v2", "v2+"), "device.not-listed");

    [Theory]
    [InlineData("1.0.0", "2.0.0", "device.interface-major-mismatch")]
    [InlineData("2.0.0", "1.9.0", "device.interface-major-mismatch")]
    [InlineData("1.2.0", "1.1.9", "device.interface-minor-older")]
    public void T003_no_compatibility_across_majors_and_minors_only_forward(string source, string own, string code) =>
        Refuses(Speaks(source), Speaks(own), code);

    [Fact]
    public void T003_minor_1_to_2_is_ok() => Assert.Equal(new CompatibilityRank(0, 1, 0), Accepts(Speaks("1.1.0"), Speaks("1.2.0")).Rank);

    [Fact]
    public void T003_bugfix_prefers_among_equally_compatible_candidates()
    {
        DeviceDescriptor source = Speaks("1.1.3"), older = Speaks("1.1.2"), newer = Speaks("1.1.7"), ahead = Speaks("1.2.9");
        var ranked = new[] { older, ahead, newer }.OrderByDescending(own => Accepts(source, own).Rank.Order);
        Assert.Equal([newer, older, ahead], ranked);
    }

    [Fact]
    public void T003_where_a_vendor_uses_both_lists_and_versions_both_must_pass()
    {
        Accepts(Listed with { InterfaceVersion = new(1, 1, 0) }, Listed with { InterfaceVersion = new(1, 2, 0) });
        Refuses(Listed with { InterfaceVersion = new(1, 2, 0) }, Listed with { InterfaceVersion = new(1, 1, 0) }, "device.interface-minor-older");
        Refuses(Version("v2") with { InterfaceVersion = new(1, 2, 0) }, Version("v1", "v1") with { InterfaceVersion = new(2, 1, 0) },
            "device.not-listed", "device.interface-major-mismatch");
    }

    [Fact]
    public void T003_lists_at_one_side_only_leave_a_doubt()
    {
        Doubts(Listed, Speaks("1.0.0"), "device.lists-unknown", "device.interface-version-unknown");
        Doubts(Listed, Bare, "device.lists-unknown");
        Doubts(Bare, Listed, "device.lists-unknown");
    }

    [Fact]
    public void T003_the_opaque_string_confirms_what_the_lists_say_and_replaces_them_in_neither_direction()
    {
        var source = Listed with { VersionString = "00028086-x" };
        Accepts(source, source, VersionAnswer.Accepted);
        Refuses(source, source, VersionAnswer.Refused, "device.version-refused");
        Refuses(Version("v9") with { VersionString = "00028086-x" }, source, VersionAnswer.Accepted, "device.not-listed");
    }

    private static CompatibilityLists Read(string json)
    {
        Assert.True(CompatibilityListsJson.TryRead(Encoding.UTF8.GetBytes(json), out var lists, out var refusal), $"{refusal}");
        return lists;
    }

    private static DeviceDescriptor Self(params (string Name, string Value)[] attributes) => Bare with
    {
        Lists = new CompatibilityLists([attributes.ToDictionary(a => a.Name, a => a.Value)], []),
    };

    private static DeviceDescriptor Takes(params (string Name, string Value)[] attributes) => Bare with
    {
        Lists = new CompatibilityLists([], [attributes.ToDictionary(a => a.Name, a => a.Value)]),
    };

    private static DeviceDescriptor Version(string self, params string[] takes) => Bare with
    {
        Lists = new CompatibilityLists([Set(self)], [.. takes.Select(Set)]),
    };

    private static Dictionary<string, string> Set(string version) => new() { ["gvt-version"] = version };

    private static DeviceDescriptor Speaks(string version) => Bare with
    {
        InterfaceVersion = InterfaceVersion.TryParse(version, out var parsed) ? parsed : null,
    };
}
