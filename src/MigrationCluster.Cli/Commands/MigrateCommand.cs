using System.CommandLine;
using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;
using MigrationCluster.Cli.Watching;

namespace MigrationCluster.Cli.Commands;

public static class MigrateCommand
{
    public static Command Build(Terminal terminal, Interruption interruption)
    {
        var guest = new Argument<string>("GUEST") { Description = "the guest to move" };
        var to = new Option<string?>("--to")
        {
            Description = "the host to move it to; without it the best of all hosts that can take it",
            HelpName = "HOST",
        };
        var policy = new PolicyOptions();
        var bandwidth = UnitOptions.Bandwidth(
            "most that is sent in a second while the guest runs; the rest, once it is paused, has no limit but the node's");
        var limit = UnitOptions.WatchLimit();
        var wait = new Option<bool>("--wait") { Description = "show the migration until it has ended (the default)" };
        var detach = new Option<bool>("--detach") { Description = "return as soon as it is under way" };
        var acceptUnknown = new Option<bool>("--accept-unknown")
        {
            Description = "move it although nobody can tell whether a device fits; recorded with your name",
        };
        var plain = new Option<bool>("--plain")
        {
            Description = "let guest RAM and device state travel unsealed, between machines too; recorded with your name",
        };
        var plan = new Option<string?>("--plan")
        {
            Description = "do what `migctl plan` planned, to its host; refused, by name, if anything has changed since",
            HelpName = "ID",
        };
        var verify = new Option<string>("--verify")
        {
            Description = "what both hosts must agree on before the guest is handed over: manifest, a digest over everything sent; "
                + "full, a hash of all of RAM too, at the price of reading it on both with the guest paused",
            HelpName = "manifest|full",
            DefaultValueFactory = _ => "manifest",
        };
        verify.AcceptOnlyFromAmong("manifest", "full");
        var operatorName = new Option<string?>("--operator")
        {
            Description = "who accepts the unknown, or has it travel unsealed; without it $USER",
            HelpName = "NAME",
        };
        var migrate = new Command("migrate", "Moves a running guest to another host.")
        {
            guest, to, plan, bandwidth, acceptUnknown, plain, verify, operatorName, wait, detach, limit,
        };
        policy.AddTo(migrate);
        migrate.Validators.Add(result =>
        {
            if (result.GetValue(wait) && result.GetValue(detach)) result.AddError("--wait and --detach exclude each other");
            if (result.GetValue(operatorName) is not null && !result.GetValue(acceptUnknown) && !result.GetValue(plain))
                result.AddError("--operator is for --accept-unknown and --plain");
        });
        Invocation.Handle(migrate, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var started = await client.MigrateAsync(
                policy.Read(run.Parse, new MigrateRequest(
                    run.Parse.GetRequiredValue(guest), run.Parse.GetValue(to), AcceptUnknownBy:
                    run.Parse.GetValue(acceptUnknown) ? NameOf(run.Parse.GetValue(operatorName), "--accept-unknown") : null,
                    AcceptPlainBy: run.Parse.GetValue(plain) ? NameOf(run.Parse.GetValue(operatorName), "--plain") : null,
                    VerifyFull: run.Parse.GetValue(verify) == "full",
                    MaxBytesPerSecond: bandwidth.Read(run.Parse),
                    Plan: run.Parse.GetValue(plan))),
                cancellationToken);
            if (!run.Json) CompatReport.WriteNotes(run.Terminal.Console, started.Plan);
            if (!run.Parse.GetValue(detach)) return await WatchToEndAsync(run, client, started, limit.Read(run.Parse), cancellationToken);
            if (run.Json) run.WriteJson(started);
            else run.Terminal.Output.WriteLine($"{started.Id} is under way; see it with `migctl migration watch {started.Id}`");
            return ExitCodes.Done;
        });
        return migrate;
    }

    /// <param name="option">what is done on that person's word.</param>
    /// <exception cref="UsageException">nobody is named.</exception>
    internal static string NameOf(string? given, string option) => given ?? Environment.GetEnvironmentVariable("USER") switch
    {
        { Length: > 0 } user => user,
        _ => throw new UsageException($"{option} is recorded with your name, and $USER is not set: give --operator NAME"),
    };

    /// <summary>Shows a migration until it has ended, then its report; the exit code is its outcome.</summary>
    internal static async Task<int> WatchToEndAsync(
        Invocation run, ClusterClient client, MigrationView migration, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        over.CancelAfter(limit);
        run.Narration.WriteLine($"{migration.Id}: {migration.Guest}, {migration.Source} → {migration.Destination}");
        var watcher = new MigrationWatcher(client, run.Terminal, run.Json, TimeProvider.System);
        MigrationView ended;
        try
        {
            ended = await watcher.WatchAsync(migration, over.Token);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            run.Terminal.Error.WriteLine(
                $"Stopped watching; {migration.Id} goes on. Watch it again with `migctl migration watch {migration.Id}`, " +
                $"call it off with `migctl migration cancel {migration.Id}`.");
            if (run.Json) run.WriteJson(watcher.Latest ?? migration);
            return run.Interruption.ExitCode;
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            run.Terminal.Error.WriteLine($"Stopped watching at the limit; {migration.Id} goes on.");
            Present(run, watcher.Latest ?? migration);
            return ExitCodes.Of(watcher.Latest ?? migration);
        }
        catch (ApiException error) when (error.HttpStatus == ApiException.Unreachable)
        {
            ErrorText.Write(run.Terminal.Error, error.Error);
            run.Terminal.Error.WriteLine(
                $"The outcome of {migration.Id} is not known here; ask with `migctl migration show {migration.Id}`.");
            if (run.Json) run.WriteJson(new { migration = migration.Id, outcome = Outcomes.InDoubt, error = error.Error });
            return ExitCodes.InDoubt;
        }
        Present(run, ended);
        return ExitCodes.Of(ended);
    }

    internal static void Present(Invocation run, MigrationView migration)
    {
        if (run.Json)
        {
            run.WriteJson(migration);
            return;
        }
        MigrationReport.Write(run.Terminal.Console, migration);
    }
}
