using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>A migration's progress as lines: one for each phase, one for each pass of pre-copy once it is over. Nothing is
/// printed twice, and a phase too short to be polled is printed all the same.</summary>
/// <param name="offset">what the clock at the line's start shows when the migration starts.</param>
public sealed class PlainProgress(TextWriter writer, TimeSpan offset = default)
{
    private const string PreCopy = "PreCopy";

    private int _phases;
    private int _passes;
    private DoubtView? _doubt;
    private long? _bandwidth;
    private string? _stall;

    public void Show(MigrationView view)
    {
        for (; _phases < view.Phases.Count; _phases++)
        {
            var phase = view.Phases[_phases];
            if (_phases > 0 && view.Phases[_phases - 1].Phase == PreCopy) ShowPasses(view.Progress.Passes);
            writer.WriteLine($"{Clock(offset.TotalMilliseconds + phase.StartMs)}  {phase.Phase}");
        }
        if (_phases > 0 && view.Phases[^1].Phase == PreCopy) ShowPasses(view.Progress.Passes);
        if (view.MaxBytesPerSecond != _bandwidth)
        {
            _bandwidth = view.MaxBytesPerSecond;
            writer.WriteLine($"{"",10}    keeps to {Bandwidth.Text(_bandwidth)}");
        }

        // The numbers change from pass to pass; what is in the way is said once.
        if (view.Progress.Stall?.Cause != _stall)
        {
            _stall = view.Progress.Stall?.Cause;
            writer.WriteLine(view.Progress.Stall is { } stall
                ? $"{"",10}    {Describe(stall)}; {string.Join("; ", stall.Remedies)}"
                : $"{"",10}    the downtime can be brought under its limit again");
        }

        if (view.Doubt != _doubt)
        {
            _doubt = view.Doubt;
            writer.WriteLine(_doubt is null
                ? $"{"",10}    no longer in doubt"
                : $"{"",10}    InDoubt since {_doubt.Since:HH:mm:ss'Z'}: {_doubt.Why}; {_doubt.Resolution}");
        }

        writer.Flush();
    }

    /// <summary>What is in the way, and since when.</summary>
    internal static string Describe(StallView stall) => $"the limit cannot be kept to{(stall.Iteration is { } pass ? $" (since pass {pass})" : "")}: {stall.Bottleneck}";

    /// <summary>The time at the start of a line.</summary>
    public static string Clock(double ms) => $"[{ms / 1000,6:F2} s]";

    private void ShowPasses(IReadOnlyList<IterationView>? passes)
    {
        foreach (var pass in (passes ?? []).Skip(_passes))
        {
            _passes++;
            double rate = pass.Ms > 0 ? pass.Bytes / (pass.Ms / 1000) : 0;
            writer.WriteLine(
                $"{"",10}    iteration {pass.Iteration}: {Figures.Bytes(pass.Bytes)} in {Figures.Time(pass.Ms)} at " +
                $"{Figures.Rate(rate)}; {Figures.Bytes(pass.RemainingBytes)} remaining, " +
                $"dirtied at {Figures.Rate(pass.DirtyBytesPerSecond)}" +
                $"{(pass.PredictedDowntimeMs is { } ms ? $", downtime {Figures.Time(ms)}" : "")}" +
                $"{(pass.ThrottlePercent > 0 ? $", vCPUs slowed by {pass.ThrottlePercent} %" : "")}");
        }
    }
}
