using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Tests.Rendering;

public sealed class MigrationReportTests
{
    [Fact]
    public void Tells_the_whole_story() => Assert.Equal("""
        Completed: web runs on beta  (6.0 s in all)

        Downtime 143 ms  (limit 300 ms, predicted 168 ms)
          quiesce          4.1 ms  █▍
          stop             6.0 ms  ██▏
          final-pages       93 ms  ████████████████████████████████
          resume            40 ms  ██████████████

        Pre-copy in 2 iterations
          pass       pages        sent      time       speed  dirtied at
             1     262,144    1.00 GiB     3.1 s   330 MiB/s    98 MiB/s
             2      70,000   273.0 MiB    700 ms   390 MiB/s   101 MiB/s

        Bytes  (throughput 380 MiB/s)
          pages             1.37 GiB
          device state     281.0 MiB
          protocol           1.0 MiB
          zero pages        12.0 MiB  (not sent)

        Devices
          name      model          state  alpha              beta
          gpu0      gpu        270.0 MiB  sha256:001122334…  sha256:001122334…  identical
          net0      net          2.1 KiB  aa55               aa55               identical

        """, Render(Samples.Migration(Outcomes.Completed, report: Samples.Report())));

    [Fact]
    public void A_different_device_cannot_be_overlooked() => Assert.Contains(
        "bb66               DIFFERENT",
        Render(Samples.Migration(Outcomes.Completed, report: Samples.Report(identical: false))));

    [Theory]
    [InlineData(Outcomes.Refused, "Refused: web runs on alpha as before")]
    [InlineData(Outcomes.Aborted, "Aborted by a limit: web runs on alpha as before")]
    [InlineData(Outcomes.Cancelled, "Cancelled: web runs on alpha as before")]
    [InlineData(Outcomes.GuestLost, "Guest lost: no complete copy of web is left")]
    [InlineData(Outcomes.InDoubt, "In doubt: nobody can say now who may run web")]
    public void Says_where_the_guest_is_and_why(string outcome, string headline) => Assert.Equal(
        $"{headline}\n  - because [some.code]\n    do that\n",
        Render(Samples.Migration(outcome, reasons: [new Reason("some.code", "because", "do that")])));

    [Fact]
    public void Names_residue() => Assert.Contains(
        "left behind on alpha: /run/guests/web",
        Render(Samples.Migration(Outcomes.Completed, report: Samples.Report(true, "/run/guests/web"))));

    [Fact]
    public void Live_picture_has_phases_numbers_and_devices()
    {
        var writer = new StringWriter();
        new Terminal(writer, TextWriter.Null, interactive: false).Console.Write(LiveProgress.Render(
            Samples.Migration(Outcomes.Running, progress: Samples.Progress(2, 270, 1024))));
        string picture = writer.ToString();
        Assert.Contains("✓ Planning 0.0 s  ▸ Preparing", picture);
        Assert.Contains("iteration 2   remaining 270.0 MiB   sent 1.00 GiB at 400 MiB/s", picture);
        Assert.Matches("gpu0 +PreCopy +200.0 MiB +56.0 MiB", picture);
        Assert.Matches("serial0 +Running +0 B +-", picture);
    }

    [Fact]
    public void Live_picture_says_what_was_sent_again()
    {
        var writer = new StringWriter();
        new Terminal(writer, TextWriter.Null, interactive: false).Console.Write(LiveProgress.Render(
            Samples.Migration(Outcomes.Running, progress: Samples.Progress(2, 270, 1024) with { ResentBytes = 12 << 20 })));
        Assert.Contains("sent 1.00 GiB at 400 MiB/s, 12.0 MiB of it again", writer.ToString());
    }

    private static string Render(MigrationView view)
    {
        var writer = new StringWriter();
        MigrationReport.Write(new Terminal(writer, TextWriter.Null, interactive: false).Console, view);
        return writer.ToString();
    }
}
