using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Tests.Rendering;

public sealed class PlainProgressTests
{
    private static readonly PhaseView[] Phases =
    [
        new("Planning", 0), new("Preparing", 12), new("Negotiating", 400), new("PreCopy", 450),
        new("Quiescing", 5200), new("StopAndCopy", 5210), new("Completed", 5600),
    ];

    [Fact]
    public void One_line_a_phase_and_one_an_iteration()
    {
        var writer = new StringWriter { NewLine = "\n" };
        var lines = new PlainProgress(writer);
        lines.Show(Samples.Migration(Outcomes.Running, 1, Phases[..1]));
        lines.Show(Samples.Migration(Outcomes.Running, 2, Phases[..4]));
        lines.Show(Samples.Migration(Outcomes.Running, 3, Phases[..4], Samples.Progress(1, 0, 0)));
        lines.Show(Samples.Migration(Outcomes.Running, 4, Phases[..4], Samples.Progress(1, 0, 512)));
        lines.Show(Samples.Migration(Outcomes.Running, 5, Phases[..4], Samples.Progress(2, 270, 1024)));
        lines.Show(Samples.Migration(Outcomes.Running, 6, Phases[..4], Samples.Progress(2, 270, 1100)));
        lines.Show(Samples.Migration(Outcomes.Running, 7, Phases[..5], Samples.Progress(3, 20, 1300)));
        lines.Show(Samples.Migration(Outcomes.Completed, 9, Phases, Samples.Progress(3, 20, 1310)));

        Assert.Equal("""
            [  0.00 s]  Planning
            [  0.01 s]  Preparing
            [  0.40 s]  Negotiating
            [  0.45 s]  PreCopy
                          iteration 1: 1.00 GiB in 3.1 s at 330 MiB/s; 273.0 MiB remaining, dirtied at 98 MiB/s
                          iteration 2: 273.0 MiB in 700 ms at 390 MiB/s; 20.0 MiB remaining, dirtied at 101 MiB/s
            [  5.20 s]  Quiescing
            [  5.21 s]  StopAndCopy
            [  5.60 s]  Completed

            """, writer.ToString());
    }

    [Fact]
    public void What_was_missed_between_two_looks_is_printed_in_order()
    {
        var writer = new StringWriter { NewLine = "\n" };
        new PlainProgress(writer, TimeSpan.FromSeconds(3)).Show(
            Samples.Migration(Outcomes.Completed, 9, Phases, Samples.Progress(3, 20, 1300)));
        Assert.Equal("""
            [  3.00 s]  Planning
            [  3.01 s]  Preparing
            [  3.40 s]  Negotiating
            [  3.45 s]  PreCopy
                          iteration 1: 1.00 GiB in 3.1 s at 330 MiB/s; 273.0 MiB remaining, dirtied at 98 MiB/s
                          iteration 2: 273.0 MiB in 700 ms at 390 MiB/s; 20.0 MiB remaining, dirtied at 101 MiB/s
            [  8.20 s]  Quiescing
            [  8.21 s]  StopAndCopy
            [  8.60 s]  Completed

            """, writer.ToString());
    }
}
