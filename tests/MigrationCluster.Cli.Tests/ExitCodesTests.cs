using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests;

public sealed class ExitCodesTests
{
    [Theory]
    [InlineData(Outcomes.Completed, 0)]
    [InlineData(Outcomes.Failed, 1)]
    [InlineData(Outcomes.GuestLost, 1)]
    [InlineData(Outcomes.Refused, 3)]
    [InlineData(Outcomes.Aborted, 4)]
    [InlineData(Outcomes.Cancelled, 5)]
    [InlineData(Outcomes.InDoubt, 7)]
    [InlineData("an outcome of a later release", 1)]
    public void Each_outcome_has_its_code(string outcome, int code) =>
        Assert.Equal(code, ExitCodes.Of(Samples.Migration(outcome)));

    [Fact]
    public void Moved_with_residue_is_not_done()
    {
        Assert.Equal(6, ExitCodes.Of(Samples.Migration(Outcomes.Completed, report: Samples.Report(true, "/run/x"))));
        Assert.Equal(6, ExitCodes.Of(Samples.Migration(
            Outcomes.Completed, reasons: [new Reason("source.release", "the source does not answer", "")])));
    }

    [Theory]
    [InlineData(ErrorCodes.BadRequest, 2)]
    [InlineData(ErrorCodes.BadSpec, 2)]
    [InlineData(ErrorCodes.Refused, 3)]
    [InlineData(ErrorCodes.SameHost, 3)]
    [InlineData(ErrorCodes.GuestMigrating, 3)]
    [InlineData(ErrorCodes.TooLate, 3)]
    [InlineData(ErrorCodes.HostAnswers, 3)]
    [InlineData("destination.memory", 3)]
    [InlineData(ErrorCodes.GuestUnknown, 1)]
    [InlineData(ErrorCodes.HostUnreachable, 1)]
    [InlineData("a code of a later release", 1)]
    public void Each_error_has_its_code(string error, int code) =>
        Assert.Equal(code, ExitCodes.Of(new ApiError(error, "", [])));

    [Theory]
    [InlineData(true, "device.parameter-mismatch", Outcomes.Refused)]
    [InlineData(false, "pre-copy.no-convergence", Outcomes.Aborted)]
    [InlineData(false, "migration.deadline", Outcomes.Aborted)]
    [InlineData(false, "peer.lost", Outcomes.Failed)]
    public void A_rollback_is_refused_aborted_or_failed(bool refused, string code, string outcome) =>
        Assert.Equal(outcome, Outcomes.OfRollback(refused, [code]));

    [Fact]
    public void A_limit_reached_because_something_broke_is_a_failure() => Assert.Equal(
        Outcomes.Failed,
        Outcomes.OfRollback(false, ["peer.lost", "migration.deadline"]));
}
