using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;
using Spectre.Console;

namespace MigrationCluster.Cli.Commands;

public static class GuestCommand
{
    private static readonly Argument<string> Name = new("NAME") { Description = "the guest's name" };

    public static Command Build(Terminal terminal, Interruption interruption)
    {
        var list = new Command("list", "Lists the guests and where they run.");
        Invocation.Handle(list, terminal, interruption, ListAsync);
        var show = new Command("show", "Shows a guest and its devices.") { Name };
        Invocation.Handle(show, terminal, interruption, ShowAsync);
        var stop = new Command("stop", "Stops a guest. Its memory is gone: guests here have no disks.") { Name };
        Invocation.Handle(stop, terminal, interruption, StopAsync);
        var check = new Command("check",
            "Has a running guest check all its memory and devices; exit code 1 if it finds anything wrong.")
        {
            Name,
        };
        Invocation.Handle(check, terminal, interruption, CheckAsync);
        return new Command("guest", "Guests of the cluster.")
        {
            list, show, BuildStart(terminal, interruption), stop, check,
        };
    }

    private static Command BuildStart(Terminal terminal, Interruption interruption)
    {
        var host = new Option<string>("--host") { Description = "the host to start it on", HelpName = "HOST", Required = true };
        var spec = new Option<string>("--spec")
        {
            Description = "JSON file that describes the guest",
            HelpName = "FILE",
            Required = true,
        };
        var start = new Command("start", "Starts a guest; returns when it runs.") { host, spec };
        Invocation.Handle(start, terminal, interruption, async (run, cancellationToken) =>
        {
            var request = new JsonObject
            {
                ["host"] = run.Parse.GetValue(host),
                ["spec"] = ReadSpec(run.Parse.GetValue(spec)!),
            };
            using var client = run.Connect();
            var guest = await client.StartGuestAsync(request.ToJsonString(), cancellationToken);
            if (run.Json) run.WriteJson(guest);
            else run.Terminal.Output.WriteLine($"{guest.Name} is {guest.State} on {guest.Host}");
            return ExitCodes.Done;
        });
        return start;
    }

    /// <summary>Only that it is JSON is checked here; what it says is the coordinator's to judge, in one place.</summary>
    private static JsonNode? ReadSpec(string path)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(path));
        }
        catch (JsonException error)
        {
            throw new UsageException(
                $"--spec {path}: not JSON at line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}: {error.Message}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--spec {path}: {error.Message}");
        }
    }

    private static async Task<int> ListAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var guests = await client.ListGuestsAsync(cancellationToken);
        if (run.Json) run.WriteJson(guests);
        else run.Terminal.Console.Write(Listings.Guests(guests));
        return ExitCodes.Done;
    }

    private static async Task<int> ShowAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var guest = await client.GetGuestAsync(run.Parse.GetRequiredValue(Name), cancellationToken);
        if (run.Json)
        {
            run.WriteJson(guest);
            return ExitCodes.Done;
        }
        run.Terminal.Output.WriteLine(
            $"{guest.Name} is {guest.State} on {guest.Host}: {guest.MemoryMiB} MiB, {guest.Spec.Vcpus.Count} vCPUs " +
            $"({guest.Spec.Vcpus.Pattern}, {guest.Spec.Vcpus.DirtyRateMiBps} MiB/s)");
        run.Terminal.Output.WriteLine($"epoch {guest.Epoch}, {guest.Decision}" +
            (guest.Migration is { } id ? $", migration {id} under way" : ""));
        run.Terminal.Console.Write(Listings.Devices(guest));
        return ExitCodes.Done;
    }

    private static async Task<int> StopAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var guest = await client.StopGuestAsync(run.Parse.GetRequiredValue(Name), cancellationToken);
        if (run.Json) run.WriteJson(guest);
        else run.Terminal.Output.WriteLine($"{guest.Name} is {guest.State} on {guest.Host}");
        return ExitCodes.Done;
    }

    private static async Task<int> CheckAsync(Invocation run, CancellationToken cancellationToken)
    {
        using var client = run.Connect();
        var check = await client.CheckGuestAsync(run.Parse.GetRequiredValue(Name), cancellationToken);
        if (run.Json) run.WriteJson(check);
        else run.Terminal.Console.Write(SelfCheckTable.Of(("", check)));
        return check is { Wrong: 0, WorkErrors: 0 } ? ExitCodes.Done : ExitCodes.Error;
    }
}
