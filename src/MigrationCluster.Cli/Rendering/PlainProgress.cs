using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>A migration's progress as lines: one for each phase, one for each pass of pre-copy once it is over. Nothing is
/// printed twice, and a phase too short to be polled is printed all the same.</summary>
/// <param name="offset">what the clock at the line's start shows when the migration starts.</param>
public sealed class PlainProgress(TextWriter writer, TimeSpan offset = default)
{
    private const string PreCopy = "PreCopy";

    private int _phases;
    private int _iterations;

    public void Show(MigrationView view)
    {
        for (; _phases < view.Phases.Count; _phases++)
        {
            if (_phases > 0 && view.Phases[_phases - 1].Phase == PreCopy) ShowIteration(view, view.Progress.Iteration);
            var phase = view.Phases[_phases];
            writer.WriteLine($"{Clock(offset.TotalMilliseconds + phase.StartMs)}  {phase.Phase}");
        }
        // What is known when a pass begins is how the one before it went.
        if (view.Phases.Count > 0 && view.Phases[^1].Phase == PreCopy) ShowIteration(view, view.Progress.Iteration - 1);
        writer.Flush();
    }

    /// <summary>The time at the start of a line.</summary>
    public static string Clock(double ms) => $"[{ms / 1000,6:F2} s]";

    private void ShowIteration(MigrationView view, int iteration)
    {
        if (iteration <= _iterations) return;
        _iterations = iteration;
        var progress = view.Progress;
        writer.WriteLine(
            $"{"",10}    iteration {iteration}: {Figures.Bytes(progress.RemainingBytes)} remaining, " +
            $"{Figures.Bytes(progress.TransferredBytes)} sent at {Figures.Rate(progress.BandwidthBytesPerSecond)}, " +
            $"guest dirties {Figures.Rate(progress.DirtyBytesPerSecond)}");
    }
}
