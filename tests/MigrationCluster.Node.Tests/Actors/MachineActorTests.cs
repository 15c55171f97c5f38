using System.Collections.Concurrent;
using System.Threading.Channels;
using MigrationCluster.Devices.Faults;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Machines;

namespace MigrationCluster.Node.Tests.Actors;

/// <summary>The shell around a toy machine: jobs are wanted, each is an effect, its end makes it done.</summary>
public sealed class MachineActorTests : IAsyncDisposable
{
    private readonly RecordingSupervisor _supervisor = new();
    private readonly ManualTime _time = new();
    private readonly MemoryLog _log = new();
    private readonly Works _works = new();
    private readonly Watcher _watcher = new();
    private MachineActor<Jobs, Do, Happened, Work>? _actor;

    public async ValueTask DisposeAsync()
    {
        if (_actor is not null) await _actor.DisposeAsync();
    }

    [Fact]
    public async Task Replies_and_starts_effects_only_after_the_events_are_in_the_log()
    {
        var actor = Start();
        var gate = _log.HoldNextAppend();
        var reply = actor.AskAsync(new Do.Want("a"), default);
        await gate.Reached.Task;

        Assert.False(reply.IsCompleted);
        Assert.Empty(_works.Started);
        Assert.Equal(["recovered 0"], _watcher.Story);
        gate.Open.SetResult();

        Assert.IsType<Accepted<Happened>>(await reply);
        Assert.Equal(["recovered 0", "evolved Wanted(a)"], _watcher.Story);
        Assert.Equal("a", (await _works.NextAsync()).Name);
    }

    [Fact]
    public async Task An_effect_ends_in_a_command_to_its_own_machine()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        (await _works.NextAsync()).End.SetResult(new Do.Finish("a"));
        await _watcher.UntilAsync("evolved Finished(a)");

        Assert.Empty(actor.State.Open);
        Assert.Equal(["Wanted(a)", "Finished(a)"], _log.Events.Select(e => e.ToString()));
    }

    /// <summary>It was not: the step stood among the arguments of a reply that nobody waited for. So no death of a guest process was ever noticed
    /// but by an effect that met it.</summary>
    [Fact]
    public async Task What_is_told_without_waiting_for_a_reply_is_handled_too()
    {
        var actor = Start();
        await actor.TellAsync(new Do.Want("a"), default);
        await _watcher.UntilAsync("evolved Wanted(a)");
        Assert.Equal("a", (await _works.NextAsync()).Name);
    }

    [Fact]
    public async Task A_refusal_changes_nothing()
    {
        var actor = Start();

        Assert.IsType<Refused<Happened>>(await actor.AskAsync(new Do.Finish("never wanted"), default));
        Assert.Empty(_log.Events);
    }

    [Fact]
    public async Task An_effect_under_way_is_not_started_twice()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        await actor.AskAsync(new Do.Want("b"), default);
        await actor.AskAsync(new Do.Want("a"), default);
        await _works.NextAsync();
        await _works.NextAsync();

        Assert.Equal(["a", "b"], _works.Started.Order());
    }

    [Fact]
    public async Task Effects_are_derived_again_from_the_log_after_a_restart()
    {
        _log.Events.AddRange([new Happened.Wanted("a"), new Happened.Wanted("b"), new Happened.Finished("a")]);
        Start();

        Assert.Equal("b", (await _works.NextAsync()).Name);
        Assert.Equal(["b"], _works.Started);
        Assert.Equal(["recovered 3"], _watcher.Story);
    }

    [Theory]
    [InlineData("before")]
    [InlineData("after")]
    public async Task A_failpoint_around_an_append_leaves_nothing_doubled_and_nothing_lost(string when)
    {
        string failpoint = $"work:{when}:Wanted";
        var actor = Start();
        Failpoints.Arm($"{failpoint}=fail", [failpoint]);
        try
        {
            var failed = await Assert.ThrowsAsync<ActorFailedException>(() => actor.AskAsync(new Do.Want("a"), default));
            Assert.Equal($"failpoint {failpoint}", failed.InnerException!.Message);
            Assert.Equal(when == "before" ? [] : ["Wanted(a)"], _log.Events.Select(e => e.ToString()));
            await actor.AskAsync(new Do.Want("a"), default);
        }
        finally
        {
            Failpoints.Arm(null, []);
        }

        Assert.Equal(["Wanted(a)"], _log.Events.Select(e => e.ToString()));
        Assert.Equal("a", (await _works.NextAsync()).Name);
    }

    [Fact]
    public async Task An_effect_nobody_waits_for_any_more_is_cancelled()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        var work = await _works.NextAsync();
        await actor.AskAsync(new Do.Drop("a"), default);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => work.End.Task);
    }

    [Fact]
    public async Task An_effect_cancelled_and_wanted_again_starts_only_after_the_first_has_ended()
    {
        _works.IgnoreCancellation = true;
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        var first = await _works.NextAsync();
        await actor.AskAsync(new Do.Drop("a"), default);
        await actor.AskAsync(new Do.Want("a"), default);
        Assert.Equal(["a"], _works.Started);

        first.End.SetResult(null);
        await _time.UntilArmedAsync(1);
        _time.Advance(TimeSpan.FromMilliseconds(200));
        await _works.NextAsync();
        Assert.Equal(["a", "a"], _works.Started);
    }

    [Fact]
    public async Task An_effect_that_ended_but_is_still_pending_is_started_again_with_growing_waits()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        var waits = new List<double>();
        for (int i = 0; i < 6; i++)
        {
            (await _works.NextAsync()).End.SetResult(null);
            await _time.UntilArmedAsync(1);
            waits.Add(_time.Armed.Single().TotalMilliseconds);
            _time.Advance(_time.Armed.Single());
        }

        Assert.Equal([200, 400, 800, 1600, 2000, 2000], waits);
    }

    [Fact]
    public async Task An_effect_that_throws_becomes_the_command_the_shell_was_given_for_it()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        (await _works.NextAsync()).End.SetException(new IOException("device lost"));
        await _watcher.UntilAsync("evolved Broke(a, device lost)");

        Assert.Empty(actor.State.Open);
        Assert.Empty(_supervisor.Failures);
    }

    [Fact]
    public async Task A_failed_append_rebuilds_the_state_from_the_log_and_keeps_effects_under_way()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        var work = await _works.NextAsync();
        _log.FailNextAppend = true;

        await Assert.ThrowsAsync<ActorFailedException>(() => actor.AskAsync(new Do.Want("b"), default));
        await actor.AskAsync(new Do.Want("c"), default);

        Assert.Equal(["a", "c"], actor.State.Open.Order());
        work.End.SetResult(new Do.Finish("a"));
        await _watcher.UntilAsync("evolved Finished(a)");
        Assert.Equal(["a", "c"], _works.Started.Order());
        Assert.Single(_supervisor.Failures);
    }

    [Fact]
    public async Task A_machine_that_throws_on_an_effects_command_does_not_forget_the_effect()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        (await _works.NextAsync()).End.SetResult(new Do.Break());
        await _supervisor.HeardAsync();
        await _time.UntilArmedAsync(1);
        _time.Advance(TimeSpan.FromMilliseconds(200));
        (await _works.NextAsync()).End.SetResult(new Do.Finish("a"));
        await _watcher.UntilAsync("evolved Finished(a)");

        Assert.Empty(actor.State.Open);
    }

    [Fact]
    public async Task Stopping_cancels_the_effects_and_waits_for_them()
    {
        var actor = Start();
        await actor.AskAsync(new Do.Want("a"), default);
        var work = await _works.NextAsync();
        await actor.StopAsync();

        Assert.True(work.End.Task.IsCanceled);
        Assert.Equal(["Wanted(a)"], _log.Events.Select(e => e.ToString()));
    }

    private MachineActor<Jobs, Do, Happened, Work> Start()
    {
        _actor = new MachineActor<Jobs, Do, Happened, Work>(
            "jobs", new JobMachine(), new Jobs([]), _log,
            new EffectRunner<Work, Do>(_works.RunAsync, (work, error) => new Do.Fail(work.Name, error.Message)),
            _supervisor, _time, _watcher);
        _actor.Start();
        return _actor;
    }

    private sealed record Jobs(IReadOnlyList<string> Open);

    private sealed record Work(string Name);

    private abstract record Do
    {
        public sealed record Want(string Name) : Do;
        public sealed record Drop(string Name) : Do;
        public sealed record Finish(string Name) : Do;
        public sealed record Fail(string Name, string Reason) : Do;
        public sealed record Break : Do;
    }

    private abstract record Happened
    {
        public sealed record Wanted(string Name) : Happened
        {
            public override string ToString() => $"Wanted({Name})";
        }

        public sealed record Finished(string Name) : Happened
        {
            public override string ToString() => $"Finished({Name})";
        }

        public sealed record Broke(string Name, string Reason) : Happened
        {
            public override string ToString() => $"Broke({Name}, {Reason})";
        }
    }

    private sealed class JobMachine : IStateMachine<Jobs, Do, Happened, Work>
    {
        public Decision<Happened> Decide(Jobs state, Do command) => command switch
        {
            Do.Want want when state.Open.Contains(want.Name) => new Accepted<Happened>([]),
            Do.Want want => new Accepted<Happened>([new Happened.Wanted(want.Name)]),
            Do.Drop drop => new Accepted<Happened>([new Happened.Finished(drop.Name)]),
            Do.Finish finish when state.Open.Contains(finish.Name) =>
                new Accepted<Happened>([new Happened.Finished(finish.Name)]),
            Do.Finish => new Refused<Happened>("job.unknown", "never wanted"),
            Do.Fail fail => new Accepted<Happened>([new Happened.Broke(fail.Name, fail.Reason)]),
            _ => throw new InvalidOperationException("a bug in a machine"),
        };

        public Jobs Evolve(Jobs state, Happened happened) => happened switch
        {
            Happened.Wanted e => new Jobs([.. state.Open, e.Name]),
            Happened.Finished e => new Jobs([.. state.Open.Where(name => name != e.Name)]),
            Happened.Broke e => new Jobs([.. state.Open.Where(name => name != e.Name)]),
            _ => throw new InvalidOperationException(),
        };

        public IReadOnlyList<Work> Pending(Jobs state) => [.. state.Open.Select(name => new Work(name))];
    }

    private sealed class Works
    {
        private readonly Channel<Running> _begun = Channel.CreateUnbounded<Running>();

        public ConcurrentQueue<string> Started { get; } = new();
        public bool IgnoreCancellation { get; set; }

        public Task<Do?> RunAsync(Work work, CancellationToken cancellationToken)
        {
            var running = new Running(work.Name, new(TaskCreationOptions.RunContinuationsAsynchronously));
            if (!IgnoreCancellation) cancellationToken.Register(() => running.End.TrySetCanceled());
            Started.Enqueue(work.Name);
            _begun.Writer.TryWrite(running);
            return running.End.Task;
        }

        public Task<Running> NextAsync() => _begun.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));
    }

    private sealed record Running(string Name, TaskCompletionSource<Do?> End);

    private sealed class MemoryLog : IEventLog<Happened>
    {
        private Gate? _gate;

        public List<Happened> Events { get; } = [];
        public bool FailNextAppend { get; set; }

        public Gate HoldNextAppend() => _gate = new Gate(new(), new());

        public async ValueTask AppendAsync(IReadOnlyList<Happened> events, CancellationToken cancellationToken)
        {
            if (FailNextAppend)
            {
                FailNextAppend = false;
                throw new IOException("disk full");
            }

            if (Interlocked.Exchange(ref _gate, null) is { } gate)
            {
                gate.Reached.SetResult();
                await gate.Open.Task;
            }

            Events.AddRange(events);
        }

        public ValueTask<IReadOnlyList<Happened>> ReadAsync(CancellationToken cancellationToken) => new([.. Events]);

        public sealed record Gate(TaskCompletionSource Reached, TaskCompletionSource Open);
    }

    private sealed class Watcher : IMachineObserver<Jobs, Happened>
    {
        private readonly Lock _lock = new();
        private readonly List<string> _story = [];
        private (string Line, TaskCompletionSource Seen)? _waiter;

        public IReadOnlyList<string> Story
        {
            get
            {
                lock (_lock) return [.. _story];
            }
        }

        public void OnRecovered(Jobs state, IReadOnlyList<Happened> all) => Tell($"recovered {all.Count}");

        public void OnEvolved(Jobs state, IReadOnlyList<Happened> events) => Tell($"evolved {string.Join(", ", events)}");

        public Task UntilAsync(string line)
        {
            lock (_lock)
            {
                if (_story.Contains(line)) return Task.CompletedTask;
                _waiter = (line, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                return _waiter.Value.Seen.Task.WaitAsync(TimeSpan.FromSeconds(10));
            }
        }

        private void Tell(string line)
        {
            lock (_lock)
            {
                _story.Add(line);
                if (_waiter is { } waiter && waiter.Line == line) waiter.Seen.SetResult();
            }
        }
    }
}
