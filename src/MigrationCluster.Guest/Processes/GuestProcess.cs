using System.Globalization;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Guest.Launch;
using MigrationCluster.Guest.Machine;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Guest.Vcpus;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Guest.Processes;

/// <summary>
/// A whole guest, put together from its launch spec and taken apart again:
///
/// <code>
///   fence file -> RAM, device servers -> relays, DMA, interrupts -> machine (boot or wait) -> endpoints -> pid file
/// </code>
/// The pid file comes last: who sees it can connect.
/// </summary>
internal sealed class GuestProcess : IAsyncDisposable
{
    private static readonly TimeSpan FenceWait = TimeSpan.FromSeconds(5);

    private readonly string _directory;
    private readonly LaunchSpec _launch;
    private readonly Action<string> _log;
    private readonly List<IAsyncDisposable> _owned = [];
    private readonly TaskCompletionSource _shutDown = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private volatile bool _ending;

    private GuestProcess(string directory, LaunchSpec launch, Action<string> log)
    {
        _directory = directory;
        _launch = launch;
        _log = log;
    }

    /// <summary>Completes when an endpoint was asked to shut the guest down.</summary>
    public Task ShutDownRequested => _shutDown.Task;

    /// <exception cref="LaunchException">the launch spec, or what the fence file says against it.</exception>
    /// <exception cref="IOException">the fence file, a socket or a device server.</exception>
    public static async Task<GuestProcess> StartAsync(string directory, Action<string> log)
    {
        var launch = LaunchFile.Read(directory);
        CheckSocketPaths(directory, launch);
        var guest = new GuestProcess(directory, launch, log);
        try
        {
            await guest.StartAsync();
            return guest;
        }
        catch
        {
            await guest.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends in the reverse order; the fence file stays.</summary>
    public async ValueTask DisposeAsync()
    {
        _ending = true;
        File.Delete(Path.Combine(_directory, GuestFiles.ProcessId));
        File.Delete(Path.Combine(_directory, GuestFiles.DeviceServers));
        for (int i = _owned.Count - 1; i >= 0; i--) await _owned[i].DisposeAsync();
        _owned.Clear();
        foreach (var device in _launch.Devices)
            File.Delete(Path.Combine(_directory, GuestFiles.DeviceServer(new DeviceName(device.Name))));
    }

    private async Task StartAsync()
    {
        var fence = new GuestFence(OpenFence());
        var map = new GuestMap(_launch);
        var ram = Own(new GuestRam(map.Layout));

        var servers = await StartServersAsync();
        var relays = new List<DeviceRelay>();
        var links = new PeerLinks(_launch, map, () => fence.Record.Role == GuestRole.Incoming, _log);
        foreach (var (slot, device) in _launch.Devices.Index())
        {
            var relay = await DeviceRelay.OpenAsync(
                servers[device.Name].Client, servers[device.Name].Capabilities, device, slot, fence, ram, links,
                CancellationToken.None);
            _owned.Add(relay);
            relays.Add(relay);
            _ = ReportLossAsync(relay);
        }
        var interrupts = new Dictionary<string, SafeFileHandle>();
        foreach (var relay in relays)
        {
            await MapAsync(servers[relay.Name].Client, ram);
            interrupts[relay.Name] = EventFd.Create();
            await relay.BindInterruptsAsync(interrupts[relay.Name]);
        }
        await links.OpenAsync(relays, _launch.Incoming);

        var dirty = new VcpuDirtyLog(map.Layout.PageCount);
        double pagesPerSecond = _launch.Vcpus.DirtyRateMiBps * 256.0 / _launch.Vcpus.Count;
        var pattern = AccessPatterns.Parse(_launch.Vcpus.Pattern);
        var vcpus = Enumerable.Range(0, _launch.Vcpus.Count)
            .Select(i => new Vcpu(i, ram, dirty, map.Partition(i), pattern, pagesPerSecond, _launch.Vcpus.Seed))
            .ToList();
        var drivers = new List<DeviceDriver>();
        foreach (var relay in relays)
        {
            if (Driver(relay, interrupts[relay.Name], ram, map, relays) is { } driver) drivers.Add(driver);
            else Own(interrupts[relay.Name]);
        }
        var machine = new GuestMachine(vcpus, drivers, dirty);
        _owned.Add(machine);
        if (!_launch.Incoming) await machine.BootAsync();

        var endpoint = new MachineEndpoint(
            _launch, machine, ram, fence, relays, links, running: !_launch.Incoming, ShutDownSoon, _log);
        _owned.Add(endpoint);
        Serve(DeviceName.Machine, endpoint);
        foreach (var relay in relays) Serve(new DeviceName(relay.Name), relay);

        WriteAtomically(GuestFiles.DeviceServers, string.Concat(servers.Values.Select(server => $"{server.Name} {server.ProcessId}\n")));
        WriteAtomically(GuestFiles.ProcessId, Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");
        _log($"guest {_launch.Guest} {(_launch.Incoming ? "waits to be loaded" : "runs")} under {fence.Record.Fence}");
    }

    private FenceFile OpenFence()
    {
        var file = Own(FenceFile.Open(_directory, inheritLock: true, FenceWait));
        var guest = GuestName.Parse(_launch.Guest);
        var wanted = new Fence(new Epoch(_launch.Epoch), new Term(_launch.Term));
        var (record, refusal) = FenceLaunch.Decide(file.Record, guest, wanted, _launch.Incoming);
        if (record is null) throw new FenceFileException($"{_directory}: not launched at {wanted}: {refusal}");
        file.Store(record);
        return file;
    }

    private async Task<Dictionary<string, DeviceServerProcess>> StartServersAsync()
    {
        var starting = _launch.Devices.Select(device => DeviceServerProcess.StartAsync(_directory, device, TimeSpan.FromSeconds(_launch.SilenceSeconds ?? 0))).ToArray();
        try
        {
            await Task.WhenAll(starting);
        }
        finally
        {
            // Those that did start are to be ended even when another did not.
            foreach (var task in starting)
                if (task.IsCompletedSuccessfully) _owned.Add(await task);
        }
        return starting.ToDictionary(task => task.Result.Name, task => task.Result);
    }

    private static async Task MapAsync(VfioUserClient client, GuestRam ram)
    {
        for (int i = 0; i < ram.Layout.Windows.Count; i++)
        {
            var window = ram.Layout.Windows[i];
            ulong offset = (ulong)ram.Layout.FirstPageOf(i) * GuestMemoryLayout.PageSizeBytes;
            await client.MapDmaAsync(
                new DmaWindow(new Iova(window.Start.Value), window.SizeBytes, true, true, ram.File, offset, null),
                CancellationToken.None);
        }
    }

    /// <returns>null: this guest has no driver for such a device and leaves it alone.</returns>
    private DeviceDriver? Driver(
        DeviceRelay relay, SafeFileHandle interrupts, GuestRam ram, GuestMap map, List<DeviceRelay> relays)
    {
        var device = _launch.Devices.First(device => device.Name == relay.Name);
        // As guests do: by what the device says it is, whoever serves it.
        var identity = PciIdentity.Read(relay.Config).Identity;
        if (MttyDriver.Drives(identity)) return new MttyDriver(relay, interrupts);
        switch (DeviceModels.ByIdentity(identity))
        {
            case "net" or "legacy" when device.Model is null:
                // Only devices of the launch spec have a place in RAM for their DMA.
                return null;
            case "net" or "legacy":
                PeerDoorbell? doorbell = null;
                if (device.PeerToPeer is [var name])
                {
                    int slot = map.DoorbellSlot(device);
                    var window = map.PeerWindow(_launch.Devices.First(peer => peer.Name == name));
                    doorbell = new PeerDoorbell(
                        relays.First(peer => peer.Name == name), slot, new Iova(window.Value + (ulong)slot * 8));
                }
                return new NetDriver(relay, interrupts, ram, map.DmaArea(device), doorbell);
            case "gpu":
                return new GpuDriver(relay, interrupts);
            case "serial":
                return new SerialDriver(relay, interrupts);
            default:
                return null;
        }
    }

    private void Serve(DeviceName name, IMigrationEndpoint endpoint) =>
        _owned.Add(VfioUserServer.Start(
            Path.Combine(_directory, GuestFiles.Endpoint(name)), endpoint,
            fault => _log($"{name}: {fault}")));

    private async Task ReportLossAsync(DeviceRelay relay)
    {
        string reason = await relay.Lost;
        if (!_ending) _log($"device {relay.Name} is lost: {reason}");
    }

    /// <summary>The answer to the request goes out first.</summary>
    private void ShutDownSoon() => _ = Task.Delay(TimeSpan.FromMilliseconds(100)).ContinueWith(
        _ => _shutDown.TrySetResult(), TaskScheduler.Default);

    private void WriteAtomically(string name, string text)
    {
        string path = Path.Combine(_directory, name);
        File.WriteAllText(path + ".tmp", text);
        File.Move(path + ".tmp", path, overwrite: true);
    }

    private static void CheckSocketPaths(string directory, LaunchSpec launch)
    {
        foreach (string name in launch.Devices.Select(device => device.Name).Append(DeviceName.Machine.Value))
        {
            try
            {
                UnixSocketPath.Check(Path.Combine(directory, GuestFiles.Endpoint(new DeviceName(name))));
            }
            catch (ArgumentException e)
            {
                throw new LaunchException(e.Message);
            }
        }
    }

    private T Own<T>(T owned) where T : IDisposable
    {
        _owned.Add(new Owned(owned));
        return owned;
    }

    private sealed class Owned(IDisposable inner) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            inner.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
