using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.Actors;

public sealed class ActorTests : IAsyncDisposable
{
    private readonly RecordingSupervisor _supervisor = new();
    private readonly ManualTime _time = new();
    private readonly List<Adder> _actors = [];

    public async ValueTask DisposeAsync()
    {
        foreach (var actor in _actors) await actor.DisposeAsync();
    }

    [Fact]
    public async Task Handles_messages_one_at_a_time_in_order()
    {
        var actor = Started();
        for (int i = 1; i <= 100; i++) await actor.PostAsync(new(i), default);
        await actor.AskAsync(new(101), default);

        Assert.Equal(Enumerable.Range(1, 101), actor.Seen);
        Assert.Equal(1, actor.MostAtOnce);
    }

    [Fact]
    public async Task An_asker_is_answered_with_the_messages_own_reply()
    {
        var actor = Started();
        await actor.PostAsync(new(40), default);

        Assert.Equal(42, await actor.AskAsync<int>(reply => new(2, Sum: reply), default));
    }

    [Fact]
    public async Task A_message_that_throws_restarts_the_actor_and_tells_asker_and_supervisor()
    {
        var actor = Started();
        await actor.AskAsync(new(7), default);

        var failed = await Assert.ThrowsAsync<ActorFailedException>(
            () => actor.AskAsync(new(0, Throw: "device gone"), default));
        int sum = await actor.AskAsync<int>(reply => new(1, Sum: reply), default);

        Assert.Contains("device gone", failed.Message, StringComparison.Ordinal);
        Assert.Equal("adder", Assert.Single(_supervisor.Failures).Actor);
        Assert.Equal(2, actor.Recoveries);
        Assert.Equal(1, sum);
    }

    [Fact]
    public async Task A_failing_actor_leaves_its_peers_alone()
    {
        var (failing, peer) = (Started(), Started());
        await peer.AskAsync(new(5), default);
        await Assert.ThrowsAsync<ActorFailedException>(() => failing.AskAsync(new(0, Throw: "boom"), default));

        Assert.Equal(6, await peer.AskAsync<int>(reply => new(1, Sum: reply), default));
        Assert.Equal(1, peer.Recoveries);
    }

    [Fact]
    public async Task A_recovery_that_fails_is_tried_again_while_the_mailbox_waits()
    {
        var actor = Add(new Adder(_supervisor, _time) { FailRecoveries = 2 });
        actor.Start();
        var sum = actor.AskAsync<int>(reply => new(3, Sum: reply), default);
        foreach (var wait in new[] { 200, 400 })
        {
            await _time.UntilArmedAsync(1);
            _time.Advance(TimeSpan.FromMilliseconds(wait));
        }

        Assert.Equal(3, await sum);
        Assert.Equal([true, true], _supervisor.Failures.Select(failure => failure.Recovering));
    }

    [Fact]
    public async Task A_full_mailbox_holds_the_poster_up_until_there_is_room()
    {
        var actor = Add(new Adder(_supervisor, _time, mailboxSize: 1));
        await actor.PostAsync(new(1), default);

        Assert.False(actor.TryPost(new(2)));
        var third = actor.PostAsync(new(3), default);
        Assert.False(third.IsCompleted);

        actor.Start();
        await third;
        await actor.AskAsync(new(4), default);
        Assert.Equal([1, 3, 4], actor.Seen);
    }

    [Fact]
    public async Task Stopping_tells_whoever_still_waits_in_the_mailbox()
    {
        var actor = Started();
        var gate = new TaskCompletionSource();
        var first = actor.AskAsync(new(1, Until: gate.Task), default);
        var second = actor.AskAsync(new(2), default);
        var stopped = actor.StopAsync();
        gate.SetResult();
        await stopped;

        await first;
        await Assert.ThrowsAsync<ActorStoppedException>(() => second);
        await Assert.ThrowsAsync<ActorStoppedException>(() => actor.AskAsync(new(3), default));
    }

    /// <remarks>A database that is away breaks a read off with an error of its own, not with a cancellation.</remarks>
    [Fact]
    public async Task Stopping_tells_them_also_while_a_recovery_fails()
    {
        var gate = new TaskCompletionSource();
        var actor = Add(new Adder(_supervisor, _time) { FailRecoveries = 1, FailAfter = gate.Task });
        actor.Start();
        var waiting = actor.AskAsync(new(1), default);
        var stopped = actor.StopAsync();
        await actor.Stopped;
        gate.SetResult();
        await stopped;

        await Assert.ThrowsAsync<ActorStoppedException>(() => waiting);
    }

    [Fact]
    public async Task Stopping_again_changes_nothing()
    {
        var actor = Started();
        await actor.DisposeAsync();

        await actor.StopAsync();
        await actor.DisposeAsync();
    }

    private Adder Started()
    {
        var actor = Add(new Adder(_supervisor, _time));
        actor.Start();
        return actor;
    }

    private Adder Add(Adder actor)
    {
        _actors.Add(actor);
        return actor;
    }

    private sealed record Number(
        int Value, string? Throw = null, Task? Until = null, TaskCompletionSource<int>? Sum = null);

    private sealed class Adder(ISupervisor supervisor, TimeProvider time, int mailboxSize = 256)
        : Actor<Number>("adder", supervisor, time, mailboxSize)
    {
        private int _sum;
        private int _now;

        public List<int> Seen { get; } = [];
        public int MostAtOnce { get; private set; }
        public int Recoveries { get; private set; }
        public int FailRecoveries { get; init; }
        public Task FailAfter { get; init; } = Task.CompletedTask;
        public Task Stopped => Task.Delay(Timeout.Infinite, Stopping).ContinueWith(_ => { }, TaskScheduler.Default);
        private int _failedRecoveries;

        protected override async ValueTask RecoverAsync(CancellationToken cancellationToken)
        {
            if (_failedRecoveries++ < FailRecoveries)
            {
                await FailAfter;
                throw new IOException("journal not there");
            }

            Recoveries++;
            _sum = 0;
        }

        protected override async ValueTask HandleAsync(Number message, CancellationToken cancellationToken)
        {
            MostAtOnce = Math.Max(MostAtOnce, Interlocked.Increment(ref _now));
            try
            {
                await Task.Yield();
                if (message.Until is { } until) await until;
                if (message.Throw is { } reason) throw new IOException(reason);
                Seen.Add(message.Value);
                _sum += message.Value;
                message.Sum?.SetResult(_sum);
            }
            finally
            {
                Interlocked.Decrement(ref _now);
            }
        }
    }
}
