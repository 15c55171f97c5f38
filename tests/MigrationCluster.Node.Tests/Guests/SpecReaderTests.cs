using MigrationCluster.Node.Guests;

namespace MigrationCluster.Node.Tests.Guests;

public sealed class SpecReaderTests
{
    private const string Good = """
        { "name": "web-1", "memoryMiB": 64, "vcpus": { "count": 2, "pattern": "hotset", "dirtyRateMiBps": 5 },
          "devices": [ { "name": "n0", "template": "net-basic", "peerToPeer": ["g0"] }, { "name": "g0", "template": "gpu" } ] }
        """;

    [Fact]
    public void A_spec_that_is_right_is_read_whole()
    {
        var draft = SpecReader.Read(Good);

        Assert.Empty(draft.Reasons);
        Assert.Equal(("web-1", 64, "hotset"), (draft.Spec!.Name, draft.Spec.MemoryMiB, draft.Spec.Vcpus.Pattern));
        Assert.Equal(["g0"], draft.Spec.Devices[0].PeerToPeer!);
        Assert.Null(draft.Spec.Devices[1].PeerToPeer);
    }

    [Theory]
    [InlineData("\"web-1\"", "\"Web\"", "$.name is 'Web'")]
    [InlineData("\"web-1\"", "\"\"", "$.name is ''")]
    [InlineData("\"web-1\"", "7", "$.name is a number, not a string")]
    [InlineData("\"web-1\"", "\"a23456789012345678901234567890123\"", "1 to 32 characters")]
    [InlineData("64", "15", "$.memoryMiB is 15, outside 16..")]
    [InlineData("64", "\"64\"", "$.memoryMiB is a string, not a whole number")]
    [InlineData("64", "64.5", "$.memoryMiB is 64.5, not a whole number")]
    [InlineData("64", "99999999999", "$.memoryMiB is 99999999999, not a whole number in")]
    [InlineData("\"memoryMiB\": 64,", "", "$.memoryMiB is missing")]
    [InlineData("\"memoryMiB\": 64,", "\"memoryMiB\": 64, \"memoryMiB\": 65,", "$.memoryMiB is given twice")]
    [InlineData("\"count\": 2", "\"count\": 65", "$.vcpus.count is 65")]
    [InlineData("\"hotset\"", "\"random\"", "$.vcpus.pattern is 'random'")]
    [InlineData("\"dirtyRateMiBps\": 5", "\"dirtyRateMiBps\": -1", "$.vcpus.dirtyRateMiBps is -1")]
    [InlineData("{ \"count\": 2, \"pattern\": \"hotset\", \"dirtyRateMiBps\": 5 }", "[]", "$.vcpus is an array, not an object")]
    [InlineData("\"name\": \"g0\"", "\"name\": \"n0\"", "$.devices has 2 devices named 'n0'")]
    [InlineData("\"name\": \"g0\"", "\"name\": \"machine\"", "reserved for the vCPUs")]
    [InlineData("[\"g0\"]", "[\"n0\"]", "$.devices[0].peerToPeer names the device itself")]
    [InlineData("[\"g0\"]", "[\"g9\"]", "$.devices[0].peerToPeer names 'g9', which is no device of this guest")]
    [InlineData("[\"g0\"]", "[\"other/g0\"]", "$.devices[0].peerToPeer names 'other/g0', a device of another guest")]
    [InlineData("[\"g0\"]", "[\"g0\"], \"peerToPeerRemovable\": 1", "$.devices[0].peerToPeerRemovable is a number, not true or false")]
    [InlineData("[\"g0\"]", "[1]", "$.devices[0].peerToPeer[0] is a number")]
    [InlineData("\"template\": \"gpu\"", "\"template\": \"gpu\", \"command\": \"rm\"", "$.devices[1].command is an unknown field")]
    [InlineData("\"memoryMiB\": 64,", "\"memoryMiB\": 64, \"disk\": 1,", "$.disk is an unknown field")]
    [InlineData("\"n0\", \"template\"", "\"n0\", \"model\"", "$.devices[0].template is missing")]
    public void A_mistake_is_named_by_its_path(string right, string wrong, string expected)
    {
        Assert.Contains(right, Good, StringComparison.Ordinal);
        var draft = SpecReader.Read(Good.Replace(right, wrong, StringComparison.Ordinal));

        Assert.Null(draft.Spec);
        Assert.Contains(draft.Reasons, reason =>
            (reason.Message + " " + reason.Remedy).Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", "no JSON")]
    [InlineData("{ \"name\": ", "no JSON")]
    [InlineData("[]", "$ is an array, not an object")]
    [InlineData("null", "$ is null, not an object")]
    public void What_is_no_spec_at_all_is_refused(string json, string expected)
    {
        var draft = SpecReader.Read(json);

        Assert.Null(draft.Spec);
        Assert.Contains(expected, Assert.Single(draft.Reasons).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Too_many_devices_are_refused()
    {
        string devices = string.Join(",", Enumerable.Range(0, 17).Select(i => $$"""{"name":"d{{i}}","template":"net-basic"}"""));
        var draft = SpecReader.Read($$"""
            { "name": "g", "memoryMiB": 64, "vcpus": { "count": 1, "pattern": "uniform", "dirtyRateMiBps": 0 },
              "devices": [ {{devices}} ] }
            """);

        Assert.Contains("17 devices", Assert.Single(draft.Reasons).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Everything_wrong_is_told_at_once()
    {
        var draft = SpecReader.Read("""{ "name": 1, "memoryMiB": 1, "vcpus": {}, "devices": [ { "name": "X" } ], "x": 0 }""");

        Assert.Equal(8, draft.Reasons.Count);
    }
}
