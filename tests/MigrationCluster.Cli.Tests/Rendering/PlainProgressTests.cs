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
        lines.Show(Samples.Migration(Outcomes.Running, 3, Phases[..4], Samples.Progress(1, 1024, 0)));
        lines.Show(Samples.Migration(Outcomes.Running, 4, Phases[..4], Samples.Progress(1, 512, 512)));
        lines.Show(Samples.Migration(Outcomes.Running, 5, Phases[..4], Samples.Progress(2, 270, 1024)));
        lines.Show(Samples.Migration(Outcomes.Completed, 9, Phases, Samples.Progress(3, 20, 1300)));

        Assert.Equal("""
            [  0.00 s]  Planning
            [  0.01 s]  Preparing
            [  0.40 s]  Negotiating
            [  0.45 s]  PreCopy
                          iteration 1: 1.00 GiB remaining, 0 B sent at 400 MiB/s, guest dirties 100 MiB/s
                          iteration 2: 270.0 MiB remaining, 1.00 GiB sent at 400 MiB/s, guest dirties 100 MiB/s
                          iteration 3: 20.0 MiB remaining, 1.27 GiB sent at 400 MiB/s, guest dirties 100 MiB/s
            [  5.20 s]  Quiescing
            [  5.21 s]  StopAndCopy
            [  5.60 s]  Completed

            """, writer.ToString());
    }
}
