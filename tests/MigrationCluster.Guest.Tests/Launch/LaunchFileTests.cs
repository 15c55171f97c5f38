using MigrationCluster.Guest.Tests.Processes;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Guest.Tests.Launch;

/// <summary>What mc-guest says to bad input, as its user sees it.</summary>
public class LaunchFileTests
{
    private const string Good =
        """
        {"guest":"vm1","incoming":false,"epoch":1,"term":1,"memoryMiB":16,
         "vcpus":{"count":1,"pattern":"uniform","dirtyRateMiBps":1,"seed":1},
         "devices":[{"name":"net0","model":"net","parameters":{},"peerToPeer":[]}]}
        """;

    [Theory]
    [InlineData("\"term\":1", "\"term\":1,\"colour\":\"red\"", "colour")]
    [InlineData("\"term\":1,", "", "term")]
    [InlineData("\"memoryMiB\":16", "\"memoryMiB\":\"big\"", "$.memoryMiB")]
    [InlineData("\"memoryMiB\":16", "\"memoryMiB\":8", "memoryMiB is 8, outside 16..")]
    [InlineData("\"memoryMiB\":16", "\"silenceSeconds\":0,\"memoryMiB\":16", "silenceSeconds is 0, outside 1..600")]
    [InlineData("\"guest\":\"vm1\"", "\"guest\":\"VM 1\"", "'VM 1' is no guest name")]
    [InlineData("\"uniform\"", "\"random\"", "'random', not one of uniform, hotset, sequential")]
    [InlineData("\"model\":\"net\"", "\"model\":\"fpga\"", "device model 'fpga' is unknown")]
    [InlineData("\"parameters\":{}", "\"parameters\":{\"queues\":\"99\"}", "'queues' is 99, which is outside 1..64")]
    [InlineData("\"parameters\":{}", "\"parameters\":{},\"version\":\"3\"", "version '3' is unknown; there are 1, 2")]
    [InlineData("\"parameters\":{}", "\"parameters\":{},\"command\":[\"x\"]", "a model and a command")]
    [InlineData("\"model\":\"net\"", "\"model\":null,\"command\":[\"x\",\"-s\"]", "no argument of the command holds {socket}")]
    [InlineData("\"name\":\"net0\"", "\"name\":\"machine\"", "'machine' is the machine's own")]
    [InlineData("\"peerToPeer\":[]", "\"peerToPeer\":[\"gpu9\"]", "P2P peer 'gpu9' is no device of this guest")]
    [InlineData("\"peerToPeer\":[]", "\"peerToPeer\":[\"net0\"]", "'net0' is a net device, which takes no P2P DMA")]
    [InlineData("{\"guest\"", "\"guest\"", "JSON")]
    public async Task A_bad_launch_spec_is_refused_by_name(string part, string instead, string expected)
    {
        await using var directory = new GuestDirectory();
        Assert.Contains(part, Good, StringComparison.Ordinal);
        await File.WriteAllTextAsync(directory.File(GuestFiles.LaunchSpec), Good.Replace(part, instead, StringComparison.Ordinal));
        var (code, output, error) = await McGuest.RunAsync("run", "--directory", directory.File(""));
        Assert.Equal(2, code);
        Assert.Empty(output);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Contains(GuestFiles.LaunchSpec, error, StringComparison.Ordinal);
        Assert.False(File.Exists(directory.File(GuestFiles.Fence)));
    }

    [Fact]
    public async Task A_socket_path_that_is_too_long_is_refused_before_anything_starts()
    {
        await using var directory = new GuestDirectory();
        string deep = directory.File(new string('d', 90));
        Directory.CreateDirectory(deep);
        await File.WriteAllTextAsync(Path.Combine(deep, GuestFiles.LaunchSpec), Good);
        var (code, _, error) = await McGuest.RunAsync("run", "--directory", deep);
        Assert.Equal(2, code);
        Assert.Contains("at most 107", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--model net", "--socket")]
    [InlineData("--model fpga --socket /tmp/mcx.sock", "'fpga' is unknown")]
    [InlineData("--model net --version 3 --socket /tmp/mcx.sock", "version '3' is unknown; there are 1, 2")]
    [InlineData("--model net --driver 9 --socket /tmp/mcx.sock", "driver 9 is unknown; there are 1, 2")]
    [InlineData("--model net --driver 1 --version 2 --socket /tmp/mcx.sock", "'rx-filter-size' is unknown; net has queues, dma-rate")]
    [InlineData("--model net --socket /tmp/mcx.sock --param queues", "NAME=VALUE, not 'queues'")]
    [InlineData("--model net --socket /tmp/mcx.sock --param dma-rate=x --param a=1", "'a' is unknown")]
    public async Task A_bad_device_command_is_a_usage_error(string arguments, string expected)
    {
        var (code, _, error) = await McGuest.RunAsync(["device", .. arguments.Split(' ')]);
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }
}
