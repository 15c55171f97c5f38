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
        var version = new Option<string?>("--version")
        {
            Description = "A version of the model, which stands for parameters; explicit ones win.",
            HelpName = "VERSION",
        };
        var driver = new Option<int>("--driver")
        {
            Description = "Serve the model as an older driver does, which knows fewer parameters and state sections: to try an upgrade of "
                + $"hosts one by one. {string.Join(", ", DeviceModels.Drivers)}.",
            HelpName = "N",
            DefaultValueFactory = _ => DeviceModels.CurrentDriver,
        };
        var plain = new Option<bool>("--plain")
        {
            Description = "Speak vfio-user without our extension, as a server of another make does.",
        };
        var lifeline = new Option<bool>("--lifeline")
        {
            Description = "End when standard input closes: whoever started this device is gone.",
        };
        var command = new Command("device", "Serves one emulated device over vfio-user, until SIGTERM.")
        {
            model, version, parameters, driver, socket, plain, lifeline,
        };
        command.SetAction((parsed, _) => RunAsync(
            parsed.GetRequiredValue(socket), parsed.GetValue(lifeline), parsed.GetValue(plain), () => DeviceModels.Create(
                parsed.GetRequiredValue(model),
                DeviceModels.Expand(parsed.GetRequiredValue(model), parsed.GetValue(version), Split(parsed.GetValue(parameters) ?? [])),
                parsed.GetValue(driver))));
        return command;
    }

    private static string Describe(string model) =>
        $"{model}: " + string.Join(", ", DeviceModels.ParametersOf(model)
            .Select(p => $"{p.Name} ({p.Minimum}..{p.Maximum} {p.Unit}, default {p.Default})"));

    private static async Task<int> RunAsync(string socket, bool lifeline, bool plain, Func<EmulatedDevice> create)
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
            await using var device = create();
            string name = Path.GetFileNameWithoutExtension(socket);
            // Under a guest process this is the guest's log, and the socket is named after the guest's device.
            device.Log = line => Console.Error.WriteLine($"{DateTimeOffset.UtcNow:O} {name}: {line}");
            await using var server = VfioUserServer.Start(
                socket, device, fault => Console.Error.WriteLine($"mc-guest device {name}: {fault}"), extension: !plain);
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
