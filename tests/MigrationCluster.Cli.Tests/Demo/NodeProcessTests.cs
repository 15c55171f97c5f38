using MigrationCluster.Api;
using MigrationCluster.Cli.Demo;

namespace MigrationCluster.Cli.Tests.Demo;

public sealed class NodeProcessTests
{
    [Fact]
    public async Task Is_ready_at_the_url_it_prints_and_gone_when_stopped()
    {
        using var script = new StandIn("mc-node", "echo starting; echo 'listening on http://127.0.0.1:4711'; wait_forever");
        using var node = NodeProcess.Start(script.Executable, "alpha", script.Folder + "/log", ["--data-dir", script.Folder]);
        Assert.Equal(new Uri("http://127.0.0.1:4711"), await node.ReadyAsync(CancellationToken.None));
        Assert.Equal([node.Id], ProcessSweep.Find(script.Folder));
        Assert.Equal(143, await node.StopAsync(TimeSpan.FromSeconds(10)));
        Assert.Empty(ProcessSweep.Find(script.Folder));
    }

    [Fact]
    public async Task One_that_ends_is_an_error_with_its_last_words()
    {
        using var script = new StandIn("mc-node", "echo 'port 7101 is in use'; exit 3");
        using var node = NodeProcess.Start(script.Executable, "alpha", script.Folder + "/log", []);
        var error = (await Assert.ThrowsAsync<ApiException>(() => node.ReadyAsync(CancellationToken.None))).Error;
        Assert.Equal("node alpha ended with exit code 3 while starting", error.Message);
        Assert.Equal("port 7101 is in use", Assert.Single(error.Reasons).Message);
    }

    [Fact]
    public async Task Is_out_of_reach_of_the_terminals_signals()
    {
        using var script = new StandIn("mc-node", "echo 'listening on http://127.0.0.1:4711'; wait_forever");
        using var node = NodeProcess.Start(script.Executable, "alpha", script.Folder + "/log", [script.Folder]);
        await node.ReadyAsync(CancellationToken.None);
        Assert.Equal(node.Id, SessionOf(node.Id));
        await node.StopAsync(TimeSpan.FromSeconds(10));
    }

    /// <summary>Sixth field of /proc/PID/stat, counted after the name in parentheses.</summary>
    private static int SessionOf(int process)
    {
        string stat = File.ReadAllText($"/proc/{process}/stat");
        return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[3]);
    }
}
