using System.CommandLine;
using System.Runtime.InteropServices;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Faults;
using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Devices.VfioUser;

namespace MigrationCluster.Guest.Processes;

/// <summary><c>mc-guest device</c>: one emulated device, or one of this host's kernel, behind a vfio-user socket, until SIGTERM.</summary>
internal static class DeviceCommand
{
    public static Command Create()
    {
        var model = new Option<string?>("--model")
        {
            Description = $"The device model: {string.Join(", ", DeviceModels.Names)}.",
            HelpName = "MODEL",
        };
        var vfio = new Option<string?>("--vfio")
        {
            Description = "Instead of a model, a device of this host's kernel: the UUID of a mediated device, or the address of a PCI function "
                + "that is bound to a VFIO driver.",
            HelpName = "DEVICE",
        };
        var sysfs = new Option<string>("--sysfs")
        {
            Description = "With --vfio: root of the tree that says where the device is.",
            HelpName = "DIR",
            DefaultValueFactory = _ => VfioKernelOptions.Default.Sysfs,
        };
        var probe = new Option<bool>("--probe")
        {
            Description = "With --vfio: open the device, print what it can do, and end.",
        };
        var socket = new Option<string?>("--socket")
        {
            Description = "The UNIX socket to listen on, at most 107 bytes long.",
            HelpName = "PATH",
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
        var command = new Command("device", "Serves one device over vfio-user, until SIGTERM: an emulated one, or one of this host's kernel.")
        {
            model, version, parameters, driver, vfio, sysfs, probe, socket, plain, lifeline,
        };
        command.Validators.Add(parsed =>
        {
            if (parsed.GetValue(model) is null == parsed.GetValue(vfio) is null) parsed.AddError("give either --model or --vfio");
            else if (parsed.GetValue(probe) && parsed.GetValue(vfio) is null) parsed.AddError("--probe looks at a kernel device: give --vfio");
            else if (parsed.GetValue(probe) != parsed.GetValue(socket) is null) parsed.AddError("give --socket to serve the device, or --probe to look at it");
        });
        command.SetAction((parsed, _) => parsed.GetValue(probe)
            ? ProbeAsync(parsed.GetRequiredValue(vfio)!, parsed.GetRequiredValue(sysfs))
            : RunAsync(
                parsed.GetRequiredValue(socket)!, parsed.GetValue(lifeline), parsed.GetValue(plain), async log => parsed.GetValue(vfio) is { } kernel
                    ? await VfioKernelDevice.OpenAsync(kernel, VfioKernelOptions.Default with { Sysfs = parsed.GetRequiredValue(sysfs) }, log)
                    : Create(parsed.GetRequiredValue(model)!, parsed.GetValue(version), parsed.GetValue(parameters) ?? [], parsed.GetValue(driver), log)));
        return command;
    }

    private static EmulatedDevice Create(string model, string? version, string[] parameters, int driver, Action<string> log)
    {
        var device = DeviceModels.Create(model, DeviceModels.Expand(model, version, Split(parameters)), driver);
        device.Log = log;
        return device;
    }

    private static async Task<int> ProbeAsync(string id, string sysfs)
    {
        try
        {
            await using var device = await VfioKernelDevice.OpenAsync(
                id, VfioKernelOptions.Default with { Sysfs = sysfs }, line => Console.Error.WriteLine($"{id}: {line}"));
            foreach (string fact in await KernelProbe.ReadAsync(device, CancellationToken.None)) Console.Out.WriteLine(fact);
            return ExitCode.Done;
        }
        catch (IOException e)
        {
            Console.Error.WriteLine($"mc-guest: {e.Message}");
            return ExitCode.Error;
        }
    }

    private static string Describe(string model) =>
        $"{model}: " + string.Join(", ", DeviceModels.ParametersOf(model)
            .Select(p => $"{p.Name} ({p.Minimum}..{p.Maximum} {p.Unit}, default {p.Default})"));

    private static async Task<int> RunAsync(string socket, bool lifeline, bool plain, Func<Action<string>, Task<IMigratableDevice>> open)
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
            string name = Path.GetFileNameWithoutExtension(socket);
            // Under a guest process this is the guest's log, and the socket is named after the guest's device.
            void Log(string line) => Console.Error.WriteLine($"{DateTimeOffset.UtcNow:O} {name}: {line}");

            await using var device = await open(Log);
            string? orders = Environment.GetEnvironmentVariable(FaultyDevice.Variable);
            var served = orders is null ? device
                : new FaultyDevice(device, orders, Path.GetFileName(Path.GetDirectoryName(Path.GetFullPath(socket))!), name, Log);
            await using var server = VfioUserServer.Start(
                socket, served, fault => Console.Error.WriteLine($"mc-guest device {name}: {fault}"), extension: !plain);
            if (device is VfioKernelDevice) Log($"listens on {socket}");
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
