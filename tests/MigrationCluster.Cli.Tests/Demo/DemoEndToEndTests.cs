using System.Text.Json;
using System.Text.RegularExpressions;

namespace MigrationCluster.Cli.Tests.Demo;

/// <summary>Real nodes, a real guest, real signals; the guest is small, the machine is shared.</summary>
public sealed partial class DemoEndToEndTests
{
    private static readonly string[] Small = ["--memory", "64MiB", "--dirty-rate", "20MiB/s", "--devices", "net,serial"];

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
    [InlineData("INT", "Starting two nodes", 130)]
    [InlineData("INT", "alpha  listens", 130)]
    [InlineData("TERM", "beta   listens", 143)]
    [InlineData("INT", "Starting guest", 130)]
    [InlineData("TERM", "checks itself", 143)]
    [InlineData("INT", "Preparing", 130)]
    [InlineData("INT", "PreCopy", 130)]
    [InlineData("HUP", "StopAndCopy", 129)]
    public async Task Leaves_nothing_behind_when_interrupted(string signal, string after, int code)
    {
        using var demo = DemoProcess.Start(Small);
        await demo.UntilItSaysAsync(after);
        await demo.SignalAsync(signal);
        var ran = await demo.EndAsync();
        DemoProcess.AssertNothingLeft(demo.Folder);
        Assert.True(ran.Code == code, $"{ran.Code}: {ran.Output}{ran.Error}");
        Assert.Contains("Nothing is left behind", ran.Output);
    }

    [Fact]
    public async Task Ctrl_c_does_not_cut_the_clean_up_short()
    {
        using var demo = DemoProcess.Start(Small);
        await demo.UntilItSaysAsync("Stopping the guest");
        await demo.SignalAsync("INT");
        await demo.SignalAsync("INT");
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
