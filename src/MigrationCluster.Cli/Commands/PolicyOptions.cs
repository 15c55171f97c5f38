using System.CommandLine;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Commands;

/// <summary>What a migration may cost, and what it does when it cannot keep to that; of `migrate` and of `plan`.</summary>
internal sealed class PolicyOptions
{
    private readonly UnitOption<TimeSpan> _maxDowntime = UnitOptions.MaxDowntime();
    private readonly UnitOption<TimeSpan?> _maxTime = UnitOptions.MaxPreCopy();

    private readonly Option<string> _onStall = new("--on-stall")
    {
        Description = "when pre-copy cannot bring the downtime under its limit: abort, the guest runs on where it is; throttle, its vCPUs "
            + "are slowed until it can (never helps against device DMA); switch, it is paused for longer than the limit",
        HelpName = "abort|throttle|switch",
        DefaultValueFactory = _ => StallActions.Abort,
    };

    private readonly Option<int?> _maxIterations = new("--max-iterations")
    {
        Description = "most passes of pre-copy, 1 to 1000; without it 30",
        HelpName = "N",
    };

    public PolicyOptions()
    {
        _onStall.AcceptOnlyFromAmong([.. StallActions.All]);
        _maxIterations.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1 or > 1000) result.AddError("--max-iterations: accepted is 1 to 1000");
        });
    }

    public void AddTo(Command command)
    {
        command.Add(_maxDowntime);
        command.Add(_onStall);
        command.Add(_maxIterations);
        command.Add(_maxTime);
    }

    public MigrateRequest Read(ParseResult parse, MigrateRequest request) => request with
    {
        MaxDowntimeMs = (int)_maxDowntime.Read(parse).TotalMilliseconds,
        OnStall = parse.GetValue(_onStall) is { } action && action != StallActions.Abort ? action : null,
        MaxIterations = parse.GetValue(_maxIterations),
        MaxPreCopyMs = _maxTime.Read(parse) is { } time ? (long)time.TotalMilliseconds : null,
    };
}
