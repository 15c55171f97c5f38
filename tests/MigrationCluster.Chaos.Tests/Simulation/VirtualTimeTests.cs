using MigrationCluster.Chaos.Simulation;

namespace MigrationCluster.Chaos.Tests.Simulation;

public sealed class VirtualTimeTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly VirtualTime _time = new(null, new Trace(false));
    private readonly List<string> _said = [];

    [Fact]
    public void Time_moves_on_only_when_nothing_is_left_to_run_and_alarms_come_in_order()
    {
        var process = new SimulatedProcess(_time, TimeSpan.Zero);
        process.Post(() => Say(process, "two", 2));
        process.Post(() => Say(process, "one", 1));
        RunUntil(3);
        Assert.Equal(["one at 1", "two at 2"], _said);
    }

    [Fact]
    public void Nothing_of_a_killed_process_comes_again()
    {
        var process = new SimulatedProcess(_time, TimeSpan.Zero);
        process.Post(() => Say(process, "killed", 1));
        _time.After(Second / 2, process.Kill);
        RunUntil(3);
        Assert.Empty(_said);
    }

    [Fact]
    public void A_stopped_process_goes_on_later_with_what_it_had_to_do()
    {
        var process = new SimulatedProcess(_time, TimeSpan.Zero);
        process.Post(() => Say(process, "late", 1));
        _time.After(Second / 2, process.Stop);
        _time.After(2 * Second, process.Continue);
        RunUntil(3);
        Assert.Equal(["late at 2"], _said);
    }

    [Fact]
    public void A_wall_clock_may_be_wrong_and_timers_are_not()
    {
        var process = new SimulatedProcess(_time, TimeSpan.FromHours(-1));
        var right = new SimulatedProcess(_time, TimeSpan.Zero);
        process.Post(() => Say(process, "once", 1));
        RunUntil(3);
        Assert.Equal(["once at 1"], _said);
        Assert.Equal(TimeSpan.FromHours(1), right.Clock.GetUtcNow() - process.Clock.GetUtcNow());
    }

    [Fact]
    public void What_goes_on_on_another_thread_is_noticed()
    {
        var process = new SimulatedProcess(_time, TimeSpan.Zero);
        var answer = new TaskCompletionSource();
        process.Post(async () => await answer.Task);
        RunUntil(1);
        Assert.False(_time.IsOver);
        var other = new Thread(answer.SetResult);
        other.Start();
        other.Join();
        Assert.NotNull(_time.Leak);
    }

    private async void Say(SimulatedProcess process, string what, int after)
    {
        await Task.Delay(after * Second, process.Clock);
        _said.Add($"{what} at {_time.Now / TimeSpan.TicksPerSecond}");
    }

    private void RunUntil(int seconds)
    {
        while (_time.RunNext(seconds * Second))
        {
        }
    }
}
