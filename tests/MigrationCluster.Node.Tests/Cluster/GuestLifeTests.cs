using MigrationCluster.Api;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Tests.Cluster;

/// <summary>Real guest processes on a real node: started, checked, outliving the daemon, dying, stopped.</summary>
public sealed class GuestLifeTests : IAsyncLifetime
{
    private const string Spec = """
        { "name": "g", "memoryMiB": 32, "vcpus": { "count": 1, "pattern": "uniform", "dirtyRateMiBps": 4 },
          "devices": [ { "name": "n0", "template": "net-basic" }, { "name": "s0", "template": "serial" } ] }
        """;

    private static readonly GuestName G = new("g");
    private readonly TempDirectory _directory = new();
    private TestNode _node = null!;

    private string GuestDirectory => Path.Combine(_directory.Path, "guests", "g");

    public async Task InitializeAsync() => _node = await StartNodeAsync();

    public async Task DisposeAsync()
    {
        await _node.DisposeAsync();
        foreach (var task in ProcessTable.Of(GuestDirectory)) ProcessTable.Kill(task);
        while (ProcessTable.Of(GuestDirectory).Count > 0) await Task.Yield();
        _directory.Dispose();
    }

    [Fact]
    public async Task A_guest_starts_checks_itself_and_stops_leaving_nothing_but_its_fence()
    {
        var started = await StartAsync();
        var check = await _node.Client.CheckGuestAsync("g", default);
        var node = (await _node.Client.ListNodesAsync(default)).Single();
        var stopped = await _node.Client.StopGuestAsync("g", default);

        Assert.Equal(("g", "a", "running", 1UL, "settled"), (started.Name, started.Host, started.State, started.Epoch, started.Decision));
        Assert.Equal([("n0", "net-basic", "Running", 0), ("s0", "serial", "Running", 1)],
            started.Devices.Select(d => (d.Name, d.Template, d.State, d.Group)));
        Assert.True(check.Pages >= 32 * 256 / 2);
        Assert.Equal(0, check.Wrong);
        Assert.Equal((1024 - 32, "g"), (node.MemoryFreeMiB, node.Guests.Single()));
        Assert.Equal("stopped", stopped.State);
        Assert.Empty(await _node.Client.ListGuestsAsync(default));
        Assert.Empty(ProcessTable.Of(GuestDirectory));
        Assert.Equal(["fence", "fence.lock", "guest.log"], Directory.EnumerateFiles(GuestDirectory).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task A_guest_outlives_its_daemon_and_is_adopted_by_the_next()
    {
        await StartAsync();
        var before = ProcessTable.Of(GuestDirectory);
        await _node.DisposeAsync();
        _node = await StartNodeAsync();
        var guest = await _node.Client.GetGuestAsync("g", default);

        Assert.Equal("running", guest.State);
        Assert.Equal(before.OrderBy(task => task.Id), ProcessTable.Of(GuestDirectory).OrderBy(task => task.Id));
        Assert.Equal(0, (await _node.Client.CheckGuestAsync("g", default)).Wrong);
        Assert.Equal(1024 - 32, (await _node.Client.ListNodesAsync(default)).Single().MemoryFreeMiB);
        await _node.Client.StopGuestAsync("g", default);
        Assert.Empty(ProcessTable.Of(GuestDirectory));
    }

    [Fact]
    public async Task A_guest_whose_process_died_shows_as_lost_and_its_device_servers_are_dead_too()
    {
        await StartAsync();
        var hosted = _node.Guests.Find(G)!;
        Assert.Equal(3, ProcessTable.Of(GuestDirectory).Count);
        var ids = ProcessTable.Of(GuestDirectory).Select(task => task.Id).ToList();
        ProcessTable.Kill(hosted.Process);
        await hosted.Ended.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Empty(ProcessTable.Of(GuestDirectory));
        Assert.Equal("lost", (await _node.Client.GetGuestAsync("g", default)).State);
        Assert.DoesNotContain(
            Directory.EnumerateFileSystemEntries(Path.GetTempPath()).Select(Path.GetFileName),
            name => ids.Exists(id => name!.Contains($"-{id}-", StringComparison.Ordinal)));
        // Nothing holds the fence file's lock any more: this is the proof that all of them are dead.
        using var fence = FenceFile.Open(GuestDirectory, inheritLock: false, TimeSpan.Zero);
        Assert.Equal(new Epoch(1), fence.Record!.Fence.Epoch);
    }

    [Fact]
    public async Task A_name_is_taken_while_its_guest_exists_and_starts_under_a_higher_epoch_afterwards()
    {
        await StartAsync();
        var taken = await Assert.ThrowsAsync<ApiException>(StartAsync);
        await _node.Client.StopGuestAsync("g", default);
        var again = await StartAsync();

        Assert.Equal(ErrorCodes.GuestExists, taken.Error.Code);
        Assert.Equal((3UL, "running"), (again.Epoch, again.State));
    }

    [Fact]
    public async Task A_launch_that_fails_takes_the_row_back_and_says_why()
    {
        // Only the guest process knows that a serial takes no P2P DMA.
        string bad = Spec.Replace("\"net-basic\"", "\"net-basic\", \"peerToPeer\": [\"s0\"]", StringComparison.Ordinal);
        var failed = await Assert.ThrowsAsync<ApiException>(() => StartAsync(bad));

        Assert.Equal(GuestHost.LaunchCode, failed.Error.Code);
        Assert.Contains("takes no P2P DMA", failed.Error.Message, StringComparison.Ordinal);
        Assert.Empty(await _node.Client.ListGuestsAsync(default));
        Assert.Empty(ProcessTable.Of(GuestDirectory));
        Assert.Equal(1024, (await _node.Client.ListNodesAsync(default)).Single().MemoryFreeMiB);
        Assert.Equal("running", (await StartAsync()).State);
    }

    [Fact]
    public async Task An_unreadable_fence_file_holds_a_launch_back()
    {
        Directory.CreateDirectory(GuestDirectory);
        File.WriteAllText(Path.Combine(GuestDirectory, "fence"), "not a fence");
        var refused = await Assert.ThrowsAsync<ApiException>(StartAsync);

        Assert.Contains(Path.Combine(GuestDirectory, "fence"), refused.Error.Message, StringComparison.Ordinal);
        Assert.Empty(await _node.Client.ListGuestsAsync(default));
    }

    [Fact]
    public async Task An_incoming_guest_holds_memory_and_is_launched_once_however_often_it_is_asked_for()
    {
        var fence = new Fence(new(7), new(1));
        var first = await _node.Guests.LaunchAsync(Spec, fence, incoming: true, default);
        var second = await _node.Guests.LaunchAsync(Spec, fence, incoming: true, default);
        var older = await _node.Guests.LaunchAsync(Spec, new Fence(new(6), new(1)), incoming: true, default);
        var inventory = await _node.Agents.InventoryAsync(new("a"), default);

        Assert.Same(first.Value, second.Value);
        Assert.Equal(ErrorCodes.GuestExists, older.Refusal!.Error.Code);
        Assert.Equal((1024 - 32, true), (inventory.FreeMiB, inventory.Guests.Single().Incoming));
        Assert.Equal(fence, inventory.Guests.Single().Fence!.Fence);

        Assert.Null(await _node.Guests.KillAsync(G, fence, incomingOnly: true, default));
        var late = await _node.Guests.LaunchAsync(Spec, new Fence(new(6), new(9)), incoming: true, default);
        Assert.Contains("newer than", late.Refusal!.Error.Message, StringComparison.Ordinal);
    }

    /// <summary>Found by killing coordinators: the order to discard met a launch half done, found nothing, and its files stayed for good.</summary>
    /// <param name="ownerBefore">the guest ran here once, and its fence file still says so.</param>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_launch_that_is_called_off_is_waited_for_and_leaves_nothing_behind(bool ownerBefore)
    {
        if (ownerBefore)
        {
            Directory.CreateDirectory(GuestDirectory);
            using var fence = FenceFile.Open(GuestDirectory, inheritLock: false, TimeSpan.FromSeconds(5));
            fence.Store(new FenceRecord(G, new Fence(new(5), new(1)), GuestRole.Owner));
        }

        using var calledOff = new CancellationTokenSource();
        var launching = _node.Guests.LaunchAsync(Spec, new Fence(new(7), new(1)), incoming: true, calledOff.Token);
        while (!File.Exists(Path.Combine(GuestDirectory, "launch.json"))) await Task.Yield();
        var ending = _node.Guests.KillAsync(G, new Fence(new(8), new(1)), incomingOnly: true, default);
        await calledOff.CancelAsync();
        await Task.WhenAny(launching);

        string? left = await ending;
        if (!ownerBefore) Assert.Null(left); // an owner's file is left alone, unless the process has bound it anew already
        Assert.Empty(ProcessTable.Of(GuestDirectory));
        Assert.DoesNotContain("launch.json", Directory.EnumerateFiles(GuestDirectory).Select(Path.GetFileName));
        Assert.Equal(1024, _node.Guests.FreeMiB);
    }

    [Fact]
    public async Task A_guest_that_hangs_is_killed_when_it_is_stopped()
    {
        await StartAsync();
        Signal(_node.Guests.Find(G)!.Process.Id, "STOP");
        var stopped = await _node.Client.StopGuestAsync("g", default);

        Assert.Equal("stopped", stopped.State);
        Assert.Empty(ProcessTable.Of(GuestDirectory));
    }

    /// <summary>The answer to a start was lost, the guest was given up, and only then does the order arrive.</summary>
    [Fact]
    public async Task An_order_to_start_that_comes_after_the_one_to_stop_is_refused_by_its_fence()
    {
        Assert.Null(await StopAsync(new Fence(new(2), new(0))));
        var late = await _node.Guests.LaunchAsync(Spec, new Fence(new(1), new(0)), incoming: false, default);

        Assert.Contains("(e2, t0), newer than (e1, t0)", late.Refusal!.Error.Message, StringComparison.Ordinal);
        Assert.Empty(ProcessTable.Of(GuestDirectory));
        var next = await _node.Guests.LaunchAsync(Spec, new Fence(new(3), new(0)), incoming: false, default);
        Assert.Null(next.Refusal);
    }

    [Theory]
    [InlineData("CONT")]
    [InlineData("STOP")] // it hangs, and cannot be asked
    public async Task An_order_that_is_older_than_the_guest_ends_nothing(string signal)
    {
        await StartAsync();
        await _node.Client.StopGuestAsync("g", default);
        Assert.Equal(3UL, (await StartAsync()).Epoch);
        var living = _node.Guests.Find(G)!.Process;
        Signal(living.Id, signal);

        string? stopped = await StopAsync(new Fence(new(2), new(0)));
        string? killed = await _node.Guests.KillAsync(G, new Fence(new(2), new(9)), incomingOnly: false, default);
        string? discarded = await _node.Guests.KillAsync(G, new Fence(new(4), new(0)), incomingOnly: true, default);

        Assert.Contains("(e3, t0)", stopped, StringComparison.Ordinal);
        Assert.Contains("newer than (e2, t9)", killed, StringComparison.Ordinal);
        Assert.Contains("holds a permit", discarded, StringComparison.Ordinal);
        Assert.True(ProcessTable.IsAlive(living));
        Signal(living.Id, "CONT");
        Assert.Equal("running", (await _node.Client.GetGuestAsync("g", default)).State);
    }

    private Task<string?> StopAsync(Fence fence) => GuestStop.RunAsync(_node.Guests, G, fence, TimeProvider.System, default);

    private Task<GuestView> StartAsync() => StartAsync(Spec);

    private Task<GuestView> StartAsync(string spec) =>
        _node.Client.StartGuestAsync($$"""{ "host": "a", "spec": {{spec}} }""", default);

    private async Task<TestNode> StartNodeAsync()
    {
        var node = await TestNode.StartAsync("a", directory: _directory);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!(await node.Client.ListNodesAsync(limit.Token)).Any(n => n.Reachable)) await Task.Delay(20, limit.Token);
        return node;
    }

    private static void Signal(int process, string signal)
    {
        using var kill = System.Diagnostics.Process.Start("/bin/kill", [$"-{signal}", $"{process}"]);
        kill.WaitForExit();
    }
}
