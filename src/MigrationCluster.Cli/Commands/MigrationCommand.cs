using System.CommandLine;
using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Commands;

public static class MigrationCommand
{
    private static readonly Argument<string> Id = new("ID") { Description = "the migration's id, e.g. m-7f3a9c" };

    public static Command Build(Terminal terminal, Interruption interruption)
    {
        var list = new Command("list", "Lists migrations, under way and ended.");
        Invocation.Handle(list, terminal, interruption, ListAsync);
        var show = new Command("show", "Shows a migration: where it is, or how it went.") { Id };
        Invocation.Handle(show, terminal, interruption, ShowAsync);
        var limit = UnitOptions.WatchLimit();
        var watch = new Command("watch", "Shows a migration until it has ended; the exit code is its outcome.") { Id, limit };
        Invocation.Handle(watch, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var migration = await client.GetMigrationAsync(run.Parse.GetRequiredValue(Id), cancellationToken);
            return await MigrateCommand.WatchToEndAsync(run, client, migration, limit.Read(run.Parse), cancellationToken);
        });
        var why = new Command("why", "Tells who decided what, when, on which evidence, and who owns the guest now.") { Id };
        Invocation.Handle(why, terminal, interruption, WhyAsync);
        var cancel = new Command("cancel",
            "Calls a migration off: the guest stays on the source. Refused (exit code 3) once it is decided.")
        {
            Id,
        };
        Invocation.Handle(cancel, terminal, interruption, CancelAsync);
        return new Command("migration", "Migrations under way and ended.")
        {
            list, show, watch, why, Set(terminal, interruption), cancel, Reconcile(terminal, interruption),
        };
    }

    private static Command Set(Terminal terminal, Interruption interruption)
    {
        var bandwidth = UnitOptions.Bandwidth("most that is sent in a second from now on while the guest runs");
        (bandwidth.DefaultValueFactory, bandwidth.Required) = (null, true);
        var set = new Command("set", "Changes a migration under way. Refused (exit code 3) once its guest is paused.") { Id, bandwidth };
        Invocation.Handle(set, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var migration = await client.LimitMigrationAsync(
                run.Parse.GetRequiredValue(Id), new BandwidthRequest(bandwidth.Read(run.Parse)), cancellationToken);
            if (run.Json) run.WriteJson(migration);
            else run.Terminal.Output.WriteLine($"{migration.Id} keeps to {Bandwidth.Text(migration.MaxBytesPerSecond)}");
            return ExitCodes.Done;
        });
        return set;
    }

    private static async Task<int> ListAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var migrations = await client.ListMigrationsAsync(cancellationToken);
        if (run.Json) run.WriteJson(migrations);
        else run.Terminal.Console.Write(Listings.Migrations(migrations));
        return ExitCodes.Done;
    }

    private static async Task<int> ShowAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var migration = await client.GetMigrationAsync(run.Parse.GetRequiredValue(Id), cancellationToken);
        if (!run.Json)
        {
            CompatReport.WriteNotes(run.Terminal.Console, migration.Plan);
            new PlainProgress(run.Terminal.Output).Show(migration);
        }
        MigrateCommand.Present(run, migration);
        return ExitCodes.Done;
    }

    private static async Task<int> WhyAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var why = await client.WhyMigrationAsync(run.Parse.GetRequiredValue(Id), cancellationToken);
        if (run.Json) run.WriteJson(why);
        else WhyReport.Write(run.Terminal.Output, why);
        return ExitCodes.Done;
    }

    private static Command Reconcile(Terminal terminal, Interruption interruption)
    {
        var id = new Argument<string?>("ID") { Description = "only this migration's guest; without it every guest", Arity = ArgumentArity.ZeroOrOne };
        var dead = new Option<string?>("--host-is-dead")
        {
            Description = "you have made sure that this host is dead for good; recorded with your name. Never say so because it is silent",
            HelpName = "HOST",
        };
        var name = new Option<string?>("--operator") { Description = "who has made sure; without it $USER", HelpName = "NAME" };
        var reconcile = new Command("reconcile",
            "Holds what is on the hosts against rows and journals, sets right what can be proved, and names the evidence that is missing (exit code 1).")
        {
            id, dead, name,
        };
        Invocation.Handle(reconcile, terminal, interruption, async (run, cancellationToken) =>
        {
            string? host = run.Parse.GetValue(dead);
            string? by = host is null ? null : MigrateCommand.NameOf(run.Parse.GetValue(name), "--host-is-dead");
            using var client = run.Connect();
            var found = await client.ReconcileAsync(new ReconcileRequest(run.Parse.GetValue(id), host, by), cancellationToken);
            if (run.Json) run.WriteJson(found);
            else ReconcileReport.Write(run.Terminal.Output, found);
            return found.Deviations.Any(deviation => deviation.Needed is not null) ? ExitCodes.Error : ExitCodes.Done;
        });
        return reconcile;
    }

    private static async Task<int> CancelAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var migration = await client.CancelMigrationAsync(run.Parse.GetRequiredValue(Id), cancellationToken);
        if (run.Json) run.WriteJson(migration);
        else run.Terminal.Output.WriteLine($"{migration.Id} is being called off; see it with `migctl migration watch {migration.Id}`");
        return ExitCodes.Done;
    }
}
