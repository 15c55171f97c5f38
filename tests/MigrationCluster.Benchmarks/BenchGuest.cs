using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Benchmarks;

/// <summary>A real mc-guest process with devices in device servers of their own, and sessions at its endpoints.</summary>
internal sealed class BenchGuest : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30), EndLimit = TimeSpan.FromSeconds(5);
    private static readonly GuestName Name = new("bench");
    private static readonly Fence Fence = new(new Epoch(1), new Term(1));

    private readonly string _directory;
    private readonly Process _process;
    private MachineEndpointClient? _machine;

    private BenchGuest(string directory, Process process) => (_directory, _process) = (directory, process);

    /// <summary>By name.</summary>
    internal Dictionary<string, EndpointClient> Devices { get; } = [];

    /// <summary>Used so far by the guest process and its device servers, in steps of 10 ms.</summary>
    internal TimeSpan CpuTime
    {
        get
        {
            string children = File.ReadAllText($"/proc/{_process.Id}/task/{_process.Id}/children");
            return children.Split(' ', StringSplitOptions.RemoveEmptyEntries).Append($"{_process.Id}")
                .Aggregate(TimeSpan.Zero, (sum, process) => sum + Process.GetProcessById(int.Parse(process, CultureInfo.InvariantCulture)).TotalProcessorTime);
        }
    }

    /// <summary>Starts a guest; a source runs, an incoming one waits.</summary>
    internal static async Task<BenchGuest> StartAsync(bool incoming, IReadOnlyList<LaunchDevice> devices, CancellationToken cancellationToken)
    {
        string directory = Directory.CreateTempSubdirectory("mcb").FullName;
        var spec = new LaunchSpec(
            Name.Value, incoming, Fence.Epoch.Value, Fence.Term.Value, MemoryMiB: 64, new LaunchVcpus(1, "uniform", 0, 1), devices);
        await File.WriteAllBytesAsync(
            Path.Combine(directory, GuestFiles.LaunchSpec), JsonSerializer.SerializeToUtf8Bytes(spec, JsonSerializerOptions.Web),
            cancellationToken);
        var guest = new BenchGuest(directory, Launch(directory));
        try
        {
            await guest.OpenAsync(devices, cancellationToken);
            return guest;
        }
        catch
        {
            await guest.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops the machine, then its devices, as a source is at the end.</summary>
    internal async Task StopAsync(CancellationToken cancellationToken)
    {
        await _machine!.SetPauseDeadlineAsync(TimeSpan.FromHours(1), cancellationToken);
        await _machine.SetStateAsync(DeviceState.Stop, cancellationToken);
        foreach (var device in Devices.Values) await device.SetStateAsync(DeviceState.Stop, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(EndLimit);
        try
        {
            if (_machine is not null) await _machine.ShutDownAsync(limit.Token);
            else _process.Kill();
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or InvalidOperationException)
        {
            _process.Kill(); // its device server ends with it
            await _process.WaitForExitAsync(CancellationToken.None);
        }
        foreach (var device in Devices.Values) await device.DisposeAsync();
        if (_machine is not null) await _machine.DisposeAsync();
        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task OpenAsync(IReadOnlyList<LaunchDevice> devices, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(StartLimit);
        while (!File.Exists(Path.Combine(_directory, GuestFiles.ProcessId)))
        {
            if (_process.HasExited) throw new IOException($"mc-guest ended with status {_process.ExitCode}");
            await Task.Delay(10, limit.Token);
        }
        _machine = await MachineEndpointClient.ConnectAsync(
            Path.Combine(_directory, GuestFiles.Endpoint(DeviceName.Machine)), cancellationToken: limit.Token);
        await _machine.BindAsync(Name, Fence, limit.Token);
        foreach (var device in devices)
        {
            Devices[device.Name] = await EndpointClient.ConnectAsync(
                Path.Combine(_directory, GuestFiles.Endpoint(new DeviceName(device.Name))), cancellationToken: limit.Token);
            await Devices[device.Name].BindAsync(Name, Fence, limit.Token);
        }
    }

    internal static string Executable { get; } = ExecutableOf("MigrationCluster.Guest", "mc-guest");

    /// <summary>artifacts/bin/PROJECT/CONFIGURATION/: it was built in the same configuration.</summary>
    internal static string ExecutableOf(string project, string name)
    {
        string here = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar);
        return Path.GetFullPath(Path.Combine(here, "..", "..", project, Path.GetFileName(here), name));
    }

    /// <summary>The RAM of the guest process of a directory, as a file.</summary>
    internal static FileStream OpenRam(string directory)
    {
        string process = File.ReadAllText(Path.Combine(directory, GuestFiles.ProcessId)).Trim();
        string descriptor = Directory.EnumerateFiles($"/proc/{process}/fd")
            .First(file => new FileInfo(file).LinkTarget?.Contains("guest-ram", StringComparison.Ordinal) == true);
        return new FileStream(descriptor, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 1 << 20);
    }

    private static Process Launch(string directory)
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("exec \"$0\" run --directory \"$1\" 2>>\"$1/guest.log\"");
        start.ArgumentList.Add(Executable);
        start.ArgumentList.Add(directory);
        return Process.Start(start)!;
    }
}
