using MigrationCluster.Cli.Demo;

namespace MigrationCluster.Cli.Tests.Demo;

public sealed class ProcessSweepTests
{
    [Fact]
    public async Task Ends_what_has_the_folder_in_its_arguments()
    {
        using var guest = new StandIn("mc-guest", "echo ready; wait_forever");
        var process = guest.Start("--dir", guest.Folder + "/guests/demo");
        Assert.Equal([process.Id], ProcessSweep.Find(guest.Folder));
        Assert.Empty(await ProcessSweep.EndAsync(guest.Folder, TimeProvider.System));
        Assert.True(process.WaitForExit(0));
    }

    [Fact]
    public async Task Kills_what_does_not_end_when_asked()
    {
        using var stubborn = new StandIn("mc-guest", "trap '' TERM; echo ready; wait_forever");
        var process = stubborn.Start(stubborn.Folder);
        Assert.Empty(await ProcessSweep.EndAsync(stubborn.Folder, TimeProvider.System));
        process.WaitForExit();
        Assert.Equal(128 + 9, process.ExitCode);
    }

    [Fact]
    public async Task Leaves_alone_what_only_looks_into_the_folder()
    {
        using var editor = new StandIn("editor", "echo ready; wait_forever");
        var process = editor.Start(editor.Folder + "/alpha.log");
        Assert.Empty(ProcessSweep.Find(editor.Folder));
        Assert.Empty(await ProcessSweep.EndAsync(editor.Folder, TimeProvider.System));
        Assert.False(process.HasExited);
    }

    [Fact]
    public void Leaves_alone_another_demos_guest()
    {
        using var other = new StandIn("mc-guest", "echo ready; wait_forever");
        other.Start(other.Folder);
        Assert.Empty(ProcessSweep.Find(other.Folder + "x"));
    }
}
