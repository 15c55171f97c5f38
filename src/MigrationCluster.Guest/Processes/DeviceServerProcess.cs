using System.ComponentModel;
using System.Diagnostics;
using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Guest.Processes;

/// <summary>
/// A device server started by this guest process, and the connection to it. It holds the read end of a pipe that only
/// this process writes to: when this process ends, however that happens, the pipe closes and the server ends itself.
/// </summary>
/// <remarks>Not prctl(PR_SET_PDEATHSIG): that follows the thread that forked, and here it is one of a pool.</remarks>
internal sealed class DeviceServerProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(2);

    private readonly Process _process;

    private DeviceServerProcess(Process process, string name, VfioUserClient client)
    {
        _process = process;
        Name = name;
        Client = client;
    }

    public string Name { get; }

    public int ProcessId => _process.Id;

    public VfioUserClient Client { get; }

    /// <exception cref="DeviceLostException">the server ended, or is not there in time.</exception>
    public static async Task<DeviceServerProcess> StartAsync(string directory, LaunchDevice device)
    {
        string socket = Path.Combine(directory, GuestFiles.DeviceServer(new DeviceName(device.Name)));
        File.Delete(socket);
        var process = Start(socket, device);
        try
        {
            return new DeviceServerProcess(process, device.Name, await ConnectAsync(process, socket, device.Name));
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

    private static Process Start(string socket, LaunchDevice device)
    {
        var start = device.Command is { } command ? Foreign(command, socket) : Own(device, socket);
        start.RedirectStandardInput = true;
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new DeviceLostException($"cannot start the device server of {device.Name}: {e.Message}", e);
        }
    }

    private static ProcessStartInfo Own(LaunchDevice device, string socket)
    {
        string self = Environment.ProcessPath ?? throw new InvalidOperationException("this process has no executable");
        var start = new ProcessStartInfo(self);
        // Run as `dotnet mc-guest.dll` rather than by its own executable.
        if (Path.GetFileNameWithoutExtension(self) == "dotnet") start.ArgumentList.Add(typeof(DeviceServerProcess).Assembly.Location);
        foreach (string argument in (string[])["device", "--model", device.Model!, "--socket", socket, "--lifeline"])
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in device.Parameters)
        {
            start.ArgumentList.Add("--param");
            start.ArgumentList.Add($"{name}={value}");
        }
        return start;
    }

    private static ProcessStartInfo Foreign(IReadOnlyList<string> command, string socket) => new(
        command[0], command.Skip(1).Select(part => part.Replace(LaunchDevice.SocketPlaceholder, socket, StringComparison.Ordinal)));

    private static async Task<VfioUserClient> ConnectAsync(Process process, string socket, string name)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return await VfioUserClient.ConnectAsync(socket);
            }
            catch (DeviceLostException) when (!process.HasExited && Stopwatch.GetElapsedTime(start) < StartLimit)
            {
                await Task.Delay(5);
            }
            catch (DeviceLostException e)
            {
                throw new DeviceLostException(
                    process.HasExited
                        ? $"the device server of {name} ended at once with status {process.ExitCode}"
                        : $"the device server of {name} does not listen after {StartLimit.TotalSeconds} s", e);
            }
        }
    }

    private static async Task EndAsync(Process process)
    {
        using (process)
        {
            process.StandardInput.Close();
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
