using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Guest.Launch;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Tests.Processes;

/// <summary>A real mc-guest process in a directory of its own, with sessions bound at all its endpoints.</summary>
internal sealed class RunningGuest : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private RunningGuest(GuestDirectory directory, Process process)
    {
        Directory = directory;
        Process = process;
    }

    public GuestDirectory Directory { get; }

    public Process Process { get; }

    public MachineEndpointClient Machine { get; private set; } = null!;

    public Dictionary<string, EndpointClient> Devices { get; } = [];

    public GuestMemoryLayout Layout { get; private set; } = null!;

    public static async Task<RunningGuest> StartAsync(LaunchSpec spec, GuestDirectory? directory = null)
    {
        directory ??= new GuestDirectory();
        directory.Write(spec);
        var process = directory.Launch();
        using var limit = new CancellationTokenSource(Limit);
        while (!File.Exists(directory.File(GuestFiles.ProcessId)))
        {
            if (process.HasExited) throw new InvalidOperationException($"mc-guest ended: {directory.Log}");
            await Task.Delay(5, limit.Token);
        }
        var guest = new RunningGuest(directory, process);
        await guest.ConnectAsync(spec, new Fence(new Epoch(spec.Epoch), new Term(spec.Term)));
        return guest;
    }

    public async Task ConnectAsync(LaunchSpec spec, Fence fence)
    {
        Machine = await MachineEndpointClient.ConnectAsync(Directory.File(GuestFiles.Endpoint(DeviceName.Machine)));
        Layout = await Machine.GetMemoryLayoutAsync(default);
        await Machine.BindAsync(new GuestName(spec.Guest), fence, default);
        foreach (var device in spec.Devices)
        {
            var client = await EndpointClient.ConnectAsync(Directory.File(GuestFiles.Endpoint(new DeviceName(device.Name))));
            await client.BindAsync(new GuestName(spec.Guest), fence, default);
            Devices[device.Name] = client;
        }
    }

    public async Task DisconnectAsync()
    {
        await Machine.DisposeAsync();
        foreach (var device in Devices.Values) await device.DisposeAsync();
        Devices.Clear();
    }

    public async Task DisconnectOneAsync(string device)
    {
        await Devices[device].DisposeAsync();
        Devices.Remove(device);
    }

    public IEnumerable<(string Name, EndpointClient Client)> All =>
        Devices.Select(device => (device.Key, device.Value)).Append(("machine", Machine));

    public async Task<ulong> Register(ulong offset)
    {
        byte[] value = new byte[8];
        await Machine.ReadRegionAsync(MachineRegisters.Region, offset, value, default);
        return BitConverter.ToUInt64(value);
    }

    /// <summary>Asks the guest to check itself and waits until it has.</summary>
    public async Task<(ulong Pages, ulong Wrong, ulong WorkErrors)> CheckAsync()
    {
        ulong number = await Register(MachineRegisters.CheckDone) + 1;
        await Machine.WriteRegionAsync(MachineRegisters.Region, MachineRegisters.CheckRequest, BitConverter.GetBytes(number), default);
        await Until(async () => await Register(MachineRegisters.CheckDone) == number);
        return (await Register(MachineRegisters.CheckPages), await Register(MachineRegisters.CheckWrong),
            await Register(MachineRegisters.WorkErrors));
    }

    public MappedMemory[] MapRam() =>
        [.. Enumerable.Range(0, Layout.Windows.Count).Select(window => Machine.MapRegion(1 + window))];

    public int DeviceServer(string name) => int.Parse(
        File.ReadLines(Directory.File(GuestFiles.DeviceServers)).Select(line => line.Split(' ')).First(line => line[0] == name)[1],
        CultureInfo.InvariantCulture);

    public static async Task Until(Func<Task<bool>> reached)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (!await reached()) await Task.Delay(1, limit.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await DisconnectAsync();
        if (!Process.HasExited) Process.Kill();
        await Process.WaitForExitAsync();
        Process.Dispose();
        await Directory.DisposeAsync();
    }
}

/// <summary>A guest's directory with a short path.</summary>
internal sealed class GuestDirectory : IAsyncDisposable
{
    private readonly string _path = System.IO.Directory.CreateTempSubdirectory("mcg").FullName;

    public string Log => System.IO.File.Exists(File(GuestFiles.Log)) ? System.IO.File.ReadAllText(File(GuestFiles.Log)) : "";

    public string File(string name) => Path.Combine(_path, name);

    public void Write(LaunchSpec spec) => System.IO.File.WriteAllBytes(
        File(GuestFiles.LaunchSpec), JsonSerializer.SerializeToUtf8Bytes(spec, LaunchJsonContext.Default.LaunchSpec));

    /// <summary>Starts mc-guest with its log in the directory, as a node does.</summary>
    public Process Launch()
    {
        System.IO.File.Delete(File(GuestFiles.ProcessId));
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("exec \"$0\" run --directory \"$1\" 2>>\"$1/guest.log\"");
        start.ArgumentList.Add(McGuest.Path);
        start.ArgumentList.Add(_path);
        return Process.Start(start)!;
    }

    public async ValueTask DisposeAsync()
    {
        // Device servers of a killed guest end by themselves; the lock says when.
        using (MigrationCluster.Devices.Ownership.FenceFile.Open(_path, inheritLock: false, TimeSpan.FromSeconds(30)))
        {
        }
        System.IO.Directory.Delete(_path, recursive: true);
        await ValueTask.CompletedTask;
    }
}

internal static class McGuest
{
    public static string Path { get; } = System.IO.Path.Combine(AppContext.BaseDirectory, "mc-guest");

    public static async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }
}
