using System.Text.Json;
using System.Text.RegularExpressions;

namespace MigrationCluster.Cli.Tests.Demo;

/// <summary>Real nodes, a real guest, real signals; the guest is small, the machine is shared.</summary>
public sealed partial class DemoEndToEndTests
{
    private static readonly string[] Small = ["--memory", "64MiB", "--dirty-rate", "20MiB/s", "--devices", "net,serial"];

    /// <summary>The last step comes some time after the one before it.</summary>
    private static readonly string[] Longer = ["--memory", "512MiB", .. Small[2..]];

    [Fact]
    public async Task Moves_a_guest_with_four_devices_and_says_so_in_one_document()
    {
        var ran = await DemoProcess.RunAsync(
            DemoProcess.Migctl, "demo", "--memory", "128MiB", "--dirty-rate", "50MiB/s", "--max-downtime", "1s", "--output", "json");
        Assert.True(ran.Code == 0, ran.Error + ran.Output);
        using var document = JsonDocument.Parse(ran.Output);
        var root = document.RootElement;
        Assert.Equal("completed", root.GetProperty("state").GetString());
        Assert.True(root.GetProperty("verified").GetBoolean());
        // All pages but the guest's own tables.
        Assert.InRange(root.GetProperty("guestSelfCheck").GetProperty("pages").GetInt64(), 32_000, 32_768);
        Assert.Equal(0, root.GetProperty("guestSelfCheck").GetProperty("wrong").GetInt64());
        Assert.Equal(
            root.GetProperty("downtimeMs").GetDouble(),
            root.GetProperty("downtime").EnumerateObject().Sum(part => part.Value.GetDouble()), 0.5);
        Assert.InRange(root.GetProperty("iterations").GetInt32(), 1, 30);
        Assert.True(root.GetProperty("bytes").GetProperty("pages").GetInt64() > 0);
        Assert.True(root.GetProperty("throughputBytesPerSecond").GetDouble() > 0);
        Assert.Equal(
            ["gpu0", "net0", "net1", "serial0"],
            root.GetProperty("devices").EnumerateArray().Select(device => device.GetProperty("name").GetString()).Order());
        Assert.All(root.GetProperty("devices").EnumerateArray(), device => Assert.True(device.GetProperty("identical").GetBoolean()));
        Assert.Empty(root.GetProperty("leftBehind").EnumerateArray());
        DemoProcess.AssertNothingLeft(FolderName().Match(ran.Error).Value);
    }

    [Theory]
    [InlineData(2, "Starting two nodes")]
    [InlineData(2, "alpha  listens")]
    [InlineData(15, "beta   listens")]
    [InlineData(2, "Starting guest")]
    [InlineData(15, "checks itself")]
    [InlineData(2, "Preparing")]
    [InlineData(2, "PreCopy")]
    [InlineData(1, "StopAndCopy")]
    public async Task Leaves_nothing_behind_when_interrupted(int signal, string after)
    {
        using var demo = DemoProcess.Start(Longer);
        await demo.UntilItSaysAsync(after);
        demo.Signal(signal);
        var ran = await demo.EndAsync();
        DemoProcess.AssertNothingLeft(demo.Folder);
        Assert.True(ran.Code == 128 + signal, $"{ran.Code}: {ran.Output}{ran.Error}");
        Assert.Contains("Nothing is left behind", ran.Output);
    }

    [Fact]
    public async Task Ctrl_c_does_not_cut_the_clean_up_short()
    {
        using var demo = DemoProcess.Start(Small);
        await demo.UntilItSaysAsync("Stopping the guest");
        demo.Signal(2);
        demo.Signal(2);
        var ran = await demo.EndAsync();
        DemoProcess.AssertNothingLeft(demo.Folder);
        Assert.True(ran.Code == 0, ran.Output + ran.Error);
    }

    [Fact]
    public async Task Kept_it_goes_on_and_ends_by_the_words_it_printed()
    {
        using var demo = DemoProcess.Start([.. Small, "--keep"]);
        var ran = await demo.EndAsync();
        try
        {
            Assert.True(ran.Code == 0, ran.Output + ran.Error);
            string[] at = ["--coordinator", CoordinatorUrl().Match(ran.Output).Groups[1].Value];

            var shown = await DemoProcess.RunAsync(DemoProcess.Migctl, ["guest", "show", "demo", .. at]);
            Assert.StartsWith("demo is running on beta", shown.Output);

            var same = await DemoProcess.RunAsync(DemoProcess.Migctl, ["migrate", "demo", "--to", "beta", .. at]);
            Assert.True(same.Code == 3, same.Output + same.Error);

            var back = await DemoProcess.RunAsync(
                DemoProcess.Migctl, ["migrate", "demo", "--to", "alpha", "--max-downtime", "1s", .. at]);
            Assert.True(back.Code == 0, back.Output + back.Error);

            var check = await DemoProcess.RunAsync(DemoProcess.Migctl, ["guest", "check", "demo", .. at]);
            Assert.True(check.Code == 0, check.Output + check.Error);
        }
        finally
        {
            var ended = await DemoProcess.RunAsync(DemoProcess.Migctl, "demo", "--end", demo.Folder);
            Assert.True(ended.Code == 0, ended.Output + ended.Error);
        }
        Assert.Contains($"migctl demo --end {demo.Folder}", ran.Output);
        DemoProcess.AssertNothingLeft(demo.Folder);
    }

    [GeneratedRegex("/tmp/mcd-[0-9a-f]+")]
    private static partial Regex FolderName();

    [GeneratedRegex("MC_COORDINATOR=(\\S+)")]
    private static partial Regex CoordinatorUrl();
}
