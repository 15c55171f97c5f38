using System.CommandLine;
using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Commands;

/// <summary>A migration before it begins. Nothing moves. Exit code 0: it can go, 3: it cannot.</summary>
public static class PlanCommand
{
    public static Command Build(Terminal terminal, Interruption interruption)
    {
        var guest = new Argument<string>("GUEST") { Description = "a running guest" };
        var to = new Option<string?>("--to")
        {
            Description = "the host it would move to; without it the best of all hosts that can take it",
            HelpName = "HOST",
        };
        var policy = new PolicyOptions();
        var bandwidth = UnitOptions.Bandwidth("most that would be sent in a second while the guest runs");
        var plan = new Command("plan", "Says where a guest could go, how its devices would quiesce, and how long it would take. Nothing moves.")
        {
            guest, to, bandwidth,
        };
        policy.AddTo(plan);
        Invocation.Handle(plan, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var view = await client.PlanAsync(
                policy.Read(run.Parse, new MigrateRequest(
                    run.Parse.GetRequiredValue(guest), run.Parse.GetValue(to), MaxBytesPerSecond: bandwidth.Read(run.Parse))),
                cancellationToken);
            if (run.Json) run.WriteJson(view);
            else PlanReport.Write(run.Terminal.Console, view);
            return view.Id is null ? ExitCodes.Refused : ExitCodes.Done;
        });
        return plan;
    }
}
