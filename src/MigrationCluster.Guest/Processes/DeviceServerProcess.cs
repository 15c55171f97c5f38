using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Processes;

/// <summary>
/// A device server started by this guest process, and the connection to it. It holds the read end of a pipe that only
/// this process writes to: when this process ends, however that happens, the pipe closes and the server ends itself.
/// </summary>
/// <remarks>Not prctl(PR_SET_PDEATHSIG) for our own: that follows the thread that forked, and here it is one of a pool.</remarks>
internal sealed class DeviceServerProcess : IAsyncDisposable
{
    /// <summary>Without a line of output, each step of a kernel device's start being one. Where the processor is emulated and shared, such a start
    /// was seen to take a minute as a whole.</summary>
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan MostBetweenLooks = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(2);

    private readonly Process _process;

    private DeviceServerProcess(Process process, string name, VfioUserClient client, MigrationCapabilities capabilities)
    {
        _process = process;
        Name = name;
        Client = client;
        Capabilities = capabilities;
    }

    public string Name { get; }

    public int ProcessId => _process.Id;

    public VfioUserClient Client { get; }

    /// <summary>As the device was probed; None: not migratable.</summary>
    public MigrationCapabilities Capabilities { get; }

    /// <param name="silence">the least that it is given for an answer.</param>
    /// <exception cref="DeviceLostException">the server ended, or is not there in time.</exception>
    public static async Task<DeviceServerProcess> StartAsync(string directory, LaunchDevice device, TimeSpan silence)
    {
        string socket = Path.Combine(directory, GuestFiles.DeviceServer(new DeviceName(device.Name)));
        File.Delete(socket);
        var process = await StartServerAsync(socket, device);
        var output = new ServerOutput(process.StandardError);
        try
        {
            var (client, capabilities) = await ProbeAsync(process, output, socket, device.Name, VfioUserClientOptions.Patient(silence));
            return new DeviceServerProcess(process, device.Name, client, capabilities);
        }
        catch
        {
            await EndAsync(process);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await EndAsync(_process);
    }

    private static Task<Process> StartServerAsync(string socket, LaunchDevice device)
    {
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        void Start()
        {
            string self = Environment.ProcessPath ?? throw new InvalidOperationException("this process has no executable");
            var start = new ProcessStartInfo(self) { RedirectStandardInput = true, RedirectStandardError = true };
            // Run as `dotnet mc-guest.dll` rather than by its own executable.
            if (Path.GetFileNameWithoutExtension(self) == "dotnet") start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "mc-guest.dll"));
            foreach (string argument in device.Command is { } command ? ForeignArguments(command, socket) : OwnArguments(device, socket))
                start.ArgumentList.Add(argument);
            try
            {
                started.SetResult(Process.Start(start)!);
            }
            catch (Win32Exception e)
            {
                started.SetException(new DeviceLostException($"cannot start the device server of {device.Name}: {e.Message}", e));
            }
        }

        if (device.Command is null)
        {
            Start();
            return started.Task;
        }
        // A foreign server watches no lifeline: the kernel ends it with the thread that started it, which therefore stays.
        new Thread(() =>
        {
            Start();
            Thread.Sleep(Timeout.Infinite);
        })
        { IsBackground = true, Name = $"starts {device.Name}" }.Start();
        return started.Task;
    }

    private static IEnumerable<string> OwnArguments(LaunchDevice device, string socket) =>
    [
        "device", .. device.Vfio is { } kernel ? (string[])["--vfio", kernel.Device] : ["--model", device.Model!],
        "--socket", socket, "--lifeline",
        .. device.Parameters.SelectMany(parameter => (string[])["--param", $"{parameter.Key}={parameter.Value}"]),
    ];

    private static IEnumerable<string> ForeignArguments(IReadOnlyList<string> command, string socket) =>
    [
        ForeignCommand.Name, Environment.ProcessId.ToString(CultureInfo.InvariantCulture), "--",
        .. command.Select(part => part.Replace(LaunchDevice.SocketPlaceholder, socket, StringComparison.Ordinal)),
    ];

    /// <summary>Connects and probes. A server that loses the thread at a feature it does not know is connected to anew and never
    /// asked again.</summary>
    private static async Task<(VfioUserClient Client, MigrationCapabilities Capabilities)> ProbeAsync(
        Process process, ServerOutput output, string socket, string name, VfioUserClientOptions options)
    {
        var client = await ConnectAsync(process, output, socket, name, options);
        try
        {
            var capabilities = await client.ProbeMigrationAsync(CancellationToken.None);
            if (!client.Closed.IsCompleted) return (client, capabilities);
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
        await client.DisposeAsync();
        return (await ConnectAsync(process, output, socket, name, options), MigrationCapabilities.None);
    }

    /// <summary>Looks for the socket before it connects, and ever more rarely: every look at nothing takes time from the server that starts.</summary>
    private static async Task<VfioUserClient> ConnectAsync(
        Process process, ServerOutput output, string socket, string name, VfioUserClientOptions options)
    {
        for (var pause = BetweenLooks; ; pause = pause < MostBetweenLooks ? pause * 1.5 : MostBetweenLooks)
        {
            DeviceLostException? lost = null;
            try
            {
                if (File.Exists(socket)) return await VfioUserClient.ConnectAsync(socket, options);
            }
            catch (DeviceLostException e)
            {
                lost = e;
            }
            if (process.HasExited)
                throw new DeviceLostException(
                    $"the device server of {name} ended at once with status {process.ExitCode}: {await output.TailAsync()}", lost);
            if (output.Silence >= StartLimit)
                throw new DeviceLostException(
                    $"the device server of {name} does not listen, it still runs and has said nothing for {StartLimit.TotalSeconds} s: {await output.TailAsync()}", lost);
            await Task.Delay(pause);
        }
    }

    private static async Task EndAsync(Process process)
    {
        using (process)
        {
            process.StandardInput.Close();
            Signals.Terminate(process);
            using var limit = new CancellationTokenSource(EndLimit);
            try
            {
                await process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                await process.WaitForExitAsync(CancellationToken.None);
            }
        }
    }
}
