using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Tests.Cluster;

/// <summary>Two real nodes on loopback: who they are, what they hold, commands one way and events the other.</summary>
public sealed class TwoNodesTests : IAsyncLifetime
{
    private static readonly MigrationId M1 = new("m-1");
    private static readonly DateTimeOffset At = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly HostName B = new("b");
    private readonly TempDirectory _directoryA = new();
    private readonly TempDirectory _directoryB = new();
    private TestNode _a = null!;
    private TestNode _b = null!;

    public async Task InitializeAsync()
    {
        _a = await TestNode.StartAsync("a", directory: _directoryA);
        _b = await TestNode.StartAsync("b", _a, _directoryB);
        await UntilReachableAsync(_a, "a", "b");
    }

    public async Task DisposeAsync()
    {
        await _b.DisposeAsync();
        await _a.DisposeAsync();
        _directoryA.Dispose();
        _directoryB.Dispose();
    }

    [Fact]
    public async Task Hello_says_who_answers_and_what_it_is()
    {
        var (a, b) = (await _a.Client.HelloAsync(default), await _b.Client.HelloAsync(default));

        Assert.Equal(("a", true, Wire.Version), (a.Node, a.Coordinator, a.WireVersion));
        Assert.Equal(("b", false), (b.Node, b.Coordinator));
    }

    [Fact]
    public async Task Nodes_show_their_memory_and_templates()
    {
        var nodes = await _a.Client.ListNodesAsync(default);

        Assert.Equal(["a", "b"], nodes.Select(node => node.Name));
        Assert.Equal([true, false], nodes.Select(node => node.Coordinator));
        Assert.All(nodes, node => Assert.Equal((1024, 1024), (node.MemoryMiB, node.MemoryFreeMiB)));
        Assert.Equal("net", nodes[1].Templates["net-basic"]);
        Assert.Equal(_b.Address, nodes[1].Address);
    }

    [Fact]
    public async Task A_node_that_does_not_coordinate_says_who_does()
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => _b.Client.ListGuestsAsync(default));

        Assert.Equal(ErrorCodes.NotCoordinator, refused.Error.Code);
        Assert.Contains(_a.Address, refused.Error.Reasons[0].Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_reaches_the_agent_whole_and_its_refusal_comes_back()
    {
        var command = new StartPreCopy(
            M1, new("g"), new Fence(new(4), new(2)), "127.0.0.1:9", "c0ffee", TimeSpan.FromMilliseconds(300));
        Assert.Null(await _a.Agents.SendAsync(B, command, default));
        _b.Commands.Answer = new ApiError("command.stale", "older than (e5, t1)", []);

        Assert.Equal("command.stale", (await _a.Agents.SendAsync(B, command, default))?.Code);
        Assert.Equal(command, _b.Commands.Seen[0]);
    }

    [Fact]
    public async Task An_unknown_host_is_unreachable()
    {
        var command = new YieldGuest(M1, new("g"), default);
        await Assert.ThrowsAsync<AgentUnreachableException>(() => _a.Agents.SendAsync(new("zz"), command, default));
    }

    [Fact]
    public async Task Events_come_in_order_and_once_taken_in_never_again()
    {
        _b.Journal.Append(M1, Side.Source, [new MachinePaused(M1, At), new GroupQuiet(M1, At)]);
        var first = await FromBAsync();
        _b.Journal.Append(M1, Side.Source, [new DevicesStopped(M1, At)]);
        var second = await FromBAsync();

        Assert.Equal(["MachinePaused", "GroupQuiet"], first.Events.Select(e => e.Event.GetType().Name));
        Assert.Equal((Side.Source, "DevicesStopped"), (second.Events[0].Side, second.Events[0].Event.GetType().Name));
        Assert.Single(second.Events);
    }

    [Fact]
    public async Task Events_that_could_not_be_taken_in_come_again()
    {
        _a.Sink.FailNext = 1;
        _b.Journal.Append(M1, Side.Source, [new MachinePaused(M1, At)]);

        Assert.Equal((await FromBAsync()).Events, (await FromBAsync()).Events);
    }

    [Fact]
    public async Task Progress_comes_while_something_moves_and_a_last_time_when_nothing_does()
    {
        _b.Progress.Now = [new AgentProgress(M1, new ProgressView(1, 5, 6, 7, 8, []))];
        _b.Journal.Append(M1, Side.Source, [new TransferOpened(M1, At)]);
        var moving = await FromBAsync();
        _b.Progress.Now = [];
        var batch = await FromBAsync();
        while (batch.Progress.Count > 0) batch = await FromBAsync();

        Assert.Equal(5, moving.Progress[0].Progress.RemainingBytes);
        Assert.Empty(batch.Progress);
    }

    [Fact]
    public async Task A_restarted_coordinator_reads_on_from_where_it_was()
    {
        _b.Journal.Append(M1, Side.Source, [new MachinePaused(M1, At)]);
        await FromBAsync();
        // Answered reads only move the cursor afterwards: the next read proves that it has moved.
        _b.Journal.Append(M1, Side.Source, [new GroupQuiet(M1, At)]);
        await FromBAsync();
        await _a.DisposeAsync();
        _b.Journal.Append(M1, Side.Source, [new DevicesStopped(M1, At)]);
        _a = await TestNode.StartAsync("a", directory: _directoryA);

        var seen = (await FromBAsync()).Events.Select(e => e.Event.GetType().Name).ToList();
        if (seen[^1] != "DevicesStopped") seen.AddRange((await FromBAsync()).Events.Select(e => e.Event.GetType().Name));
        Assert.Equal("DevicesStopped", seen[^1]);
        Assert.DoesNotContain("MachinePaused", seen);
    }

    [Fact]
    public async Task An_agent_that_comes_back_on_another_port_is_found_again()
    {
        await _b.DisposeAsync();
        _b = await TestNode.StartAsync("b", _a, _directoryB);
        while ((await _a.Client.ListNodesAsync(default))[1].Address != _b.Address) await Task.Yield();
        await UntilReachableAsync(_a, "b");

        Assert.Null(await _a.Agents.SendAsync(B, new YieldGuest(M1, new("g"), default), default));
        Assert.Single(_b.Commands.Seen);
    }

    [Fact]
    public async Task Another_node_of_a_taken_name_is_not_let_in()
    {
        await using var imposter = await TestNode.StartAsync("b", _a);
        var hello = new AgentHello(B, "another-id", imposter.Address, Wire.Version);
        var refused = await _a.Agents.AdmitAsync(hello, default);

        Assert.Equal(ErrorCodes.HostNameTaken, refused?.Error.Code);
        Assert.Equal(_b.Address, (await _a.Client.ListNodesAsync(default))[1].Address);
    }

    private async Task<RecordingSink.Batch> FromBAsync()
    {
        while (true)
            if (await _a.Sink.NextAsync() is { Agent: var agent } batch && agent == B)
                return batch;
    }

    private static async Task UntilReachableAsync(TestNode coordinator, params string[] names)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (names.Except((await coordinator.Client.ListNodesAsync(limit.Token)).Where(n => n.Reachable).Select(n => n.Name)).Any())
            await Task.Delay(20, limit.Token);
    }
}
