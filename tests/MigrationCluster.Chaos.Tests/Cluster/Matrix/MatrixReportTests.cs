using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Tests.Cluster.Matrix;

public sealed class MatrixReportTests
{
    private static MatrixResult Result(string outcome, double? recovery, params string[] wrong)
    {
        Hit[] hits = [new Hit("source:after:GuestYielded", "source", "kill-node")];
        return new MatrixResult(
            new MatrixCase(hits).ToString(), hits, outcome, false, false, recovery is null ? [] : ["kill-node"], recovery, 10, wrong, "abc");
    }

    [Fact]
    public void Quantiles_are_nearest_ranks()
    {
        var summary = MatrixSummary.Of("kill-node", [.. Enumerable.Range(1, 100).Select(i => Result(MatrixResult.Completed, i)), Result(MatrixResult.NotReached, null)]);

        Assert.Equal((50, 99, 100), (summary.Quantile(0.5), summary.Quantile(0.99), summary.RecoverySeconds[^1]));
        Assert.Equal((101, 1, 0), (summary.Cases, summary.Places, summary.Wrong));
        Assert.Equal("completed 100, not reached 1", summary.Told());
    }

    [Fact]
    public void The_table_names_what_did_not_hold()
    {
        string table = MatrixReport.Of("mc-chaos matrix", 2, [Result(MatrixResult.Completed, 1.25), Result(MatrixResult.Hung, null, "no rest")]).Markdown();

        Assert.Contains("| `source:after:GuestYielded` | completed 1.3 s, **WRONG** hung |", table, StringComparison.Ordinal);
        Assert.Contains("2 of 2 cases have run, 1 did not hold", table, StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_that_was_cut_off_is_no_result()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            MatrixRun.Append(folder, Result(MatrixResult.Completed, 1));
            File.AppendAllText(MatrixRun.ResultsOf(folder), "{\"case\":\"sour\"}, {}");
            MatrixRun.Append(folder, Result(MatrixResult.RolledBack, 1));

            Assert.Equal([MatrixResult.Completed, MatrixResult.RolledBack], MatrixRun.Read(folder).Select(result => result.Outcome));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
