using System.CommandLine;
using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.VfioUser;

namespace MigrationCluster.Guest.Processes;

/// <summary><c>mc-guest device</c>: one emulated device behind a vfio-user socket, until SIGTERM.</summary>
internal static class DeviceCommand
{
    public static Command Create()
    {
        var model = new Option<string>("--model")
        {
            Description = $"The device model: {string.Join(", ", DeviceModels.Names)}.",
            HelpName = "MODEL",
            Required = true,
        };
        var socket = new Option<string>("--socket")
        {
            Description = "The UNIX socket to listen on, at most 107 bytes long.",
            HelpName = "PATH",
            Required = true,
        };
        var parameters = new Option<string[]>("--param")
        {
            Description = "A configuration parameter, again for each one. " + string.Join("; ", DeviceModels.Names.Select(Describe)) + ".",
            HelpName = "NAME=VALUE",
        };
        var lifeline = new Option<bool>("--lifeline")
        {
            Description = "End when standard input closes: whoever started this device is gone.",
        };
        var command = new Command("device", "Serves one emulated device over vfio-user, until SIGTERM.") { model, socket, parameters, lifeline };
        command.SetAction((parsed, _) => RunAsync(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(socket), parsed.GetValue(parameters) ?? [], parsed.GetValue(lifeline)));
        return command;
    }

    private static string Describe(string model) =>
        $"{model}: " + string.Join(", ", DeviceModels.ParametersOf(model)
            .Select(p => $"{p.Name} ({p.Minimum}..{p.Maximum} {p.Unit}, default {p.Default})"));

    private static async Task<int> RunAsync(string model, string socket, string[] parameters, bool lifeline)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void End(PosixSignalContext context)
        {
            context.Cancel = true;
            ended.TrySetResult();
        }

        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        // A terminal's Ctrl-C goes to its whole group; under a lifeline this device's end is its guest process's to say.
        using var interrupt = PosixSignalRegistration.Create(
            PosixSignal.SIGINT, lifeline ? context => context.Cancel = true : End);
        if (lifeline) WatchLifeline();
        try
        {
            await using var device = DeviceModels.Create(model, Split(parameters));
            await using var server = VfioUserServer.Start(socket, device, fault => Console.Error.WriteLine($"mc-guest device {model}: {fault}"));
            await ended.Task;
            return ExitCode.Done;
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            Console.Error.WriteLine($"mc-guest: {e.Message}");
            return ExitCode.Usage;
        }
        catch (IOException e)
        {
            Console.Error.WriteLine($"mc-guest: {e.Message}");
            return ExitCode.Error;
        }
    }

    private static Dictionary<string, string> Split(string[] parameters)
    {
        var split = new Dictionary<string, string>();
        foreach (string parameter in parameters)
        {
            int equals = parameter.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw new FormatException($"--param takes NAME=VALUE, not '{parameter}'");
            if (!split.TryAdd(parameter[..equals], parameter[(equals + 1)..]))
                throw new FormatException($"--param {parameter[..equals]} is given twice");
        }
        return split;
    }

    /// <summary>An orphan still does DMA into RAM that is not its guest's any more: it ends at once, not in good order.</summary>
    private static void WatchLifeline() => new Thread(() =>
    {
        using var input = Console.OpenStandardInput();
        Span<byte> buffer = stackalloc byte[16];
        while (input.Read(buffer) > 0)
        {
        }
        Environment.Exit(ExitCode.Done);
    })
    { IsBackground = true, Name = "lifeline" }.Start();
}
