using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>A migration's progress as lines: one for each phase, one for each pass of pre-copy. Nothing is printed
/// twice, and a phase too short to be polled is printed all the same.</summary>
public sealed class PlainProgress(TextWriter writer)
{
    private const string PreCopy = "PreCopy";

    private int _phases;
    private int _iteration;

    public void Show(MigrationView view)
    {
        foreach (var phase in view.Phases.Skip(_phases))
        {
            if (_phases > 0 && view.Phases[_phases - 1].Phase == PreCopy) ShowIteration(view);
            writer.WriteLine($"{At(phase.StartMs)}  {phase.Phase}");
            _phases++;
        }
        ShowIteration(view);
        writer.Flush();
    }

    private void ShowIteration(MigrationView view)
    {
        var progress = view.Progress;
        if (progress.Iteration <= _iteration || view.Phases.All(phase => phase.Phase != PreCopy)) return;
        _iteration = progress.Iteration;
        writer.WriteLine(
            $"{At(null)}    iteration {progress.Iteration}: {Figures.Bytes(progress.RemainingBytes)} remaining, " +
            $"{Figures.Bytes(progress.TransferredBytes)} sent at {Figures.Rate(progress.BandwidthBytesPerSecond)}, " +
            $"guest dirties {Figures.Rate(progress.DirtyBytesPerSecond)}");
    }

    private static string At(double? ms) => ms is { } known ? $"[{known / 1000,6:F2} s]" : new string(' ', 10);
}
