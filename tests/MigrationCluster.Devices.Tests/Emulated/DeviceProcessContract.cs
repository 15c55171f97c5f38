using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.Emulated;

/// <summary>The suite on a model in a process of its own, as a guest process starts it.</summary>
/// <remarks>Processes are reset and used again: that, too, a device server has to bear.</remarks>
public abstract class DeviceProcessContract(string model, params string[] parameters) : ModelContract(model, parameters)
{
    private static readonly ConcurrentDictionary<string, ConcurrentBag<ServerProcess>> Idle = new();

    protected override async Task<IMigratableDevice> CreateAsync()
    {
        var idle = Idle.GetOrAdd(Model, _ => []);
        if (!idle.TryTake(out var server)) server = ServerProcess.Start(Model, Parameters);
        return await ProcessDevice.ConnectAsync(server, idle);
    }

    /// <summary>Ends with this test process: its lifeline is a pipe from here.</summary>
    private sealed record ServerProcess(Process Process, string Socket)
    {
        public static ServerProcess Start(string model, IReadOnlyDictionary<string, string> parameters)
        {
            string socket = Path.Combine(Path.GetTempPath(), $"mcd-{Environment.ProcessId}-{Guid.NewGuid():N}"[..30]);
            var start = new ProcessStartInfo(Executable()) { RedirectStandardInput = true };
            foreach (string argument in (string[])["device", "--model", model, "--socket", socket, "--lifeline"]) start.ArgumentList.Add(argument);
            foreach (var (name, value) in parameters)
            {
                start.ArgumentList.Add("--param");
                start.ArgumentList.Add($"{name}={value}");
            }
            AppDomain.CurrentDomain.ProcessExit += (_, _) => File.Delete(socket);
            return new ServerProcess(Process.Start(start)!, socket);
        }

        private static string Executable()
        {
            string beside = Path.Combine(AppContext.BaseDirectory, "mc-guest");
            string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
            // The build puts the start program of a referenced executable here, without the program itself.
            return File.Exists(beside + ".dll")
                ? beside
                : Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../MigrationCluster.Guest", configuration, "mc-guest"));
        }
    }

    private sealed class ProcessDevice(ServerProcess server, ConcurrentBag<ServerProcess> idle, VfioUserClient client) : IMigratableDevice
    {
        public static async Task<ProcessDevice> ConnectAsync(ServerProcess server, ConcurrentBag<ServerProcess> idle)
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            while (true)
            {
                try
                {
                    return new ProcessDevice(server, idle, await VfioUserClient.ConnectAsync(server.Socket, null, limit.Token));
                }
                catch (DeviceLostException) when (!server.Process.HasExited && !limit.IsCancellationRequested)
                {
                    await Task.Delay(5);
                }
            }
        }

        public DeviceShape Shape => client.Shape;

        public async ValueTask DisposeAsync()
        {
            await client.ResetAsync(default);
            await client.DisposeAsync();
            idle.Add(server);
        }

        public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken token) => client.ProbeMigrationAsync(token);
        public ValueTask<DeviceState> GetStateAsync(CancellationToken token) => client.GetStateAsync(token);
        public ValueTask SetStateAsync(DeviceState target, CancellationToken token) => client.SetStateAsync(target, token);
        public ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken token) => client.ReadDataAsync(buffer, token);
        public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken token) => client.WriteDataAsync(data, token);
        public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken token) => client.GetPreCopyBytesAsync(token);
        public ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken token) => client.StartDirtyLogAsync(pageSizeBytes, token);
        public ValueTask StopDirtyLogAsync(CancellationToken token) => client.StopDirtyLogAsync(token);
        public ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken token) =>
            client.ReportDirtyAsync(start, sizeBytes, bitmap, token);
        public ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken token) =>
            client.ReadRegionAsync(region, offset, destination, token);
        public ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken token) =>
            client.WriteRegionAsync(region, offset, source, token);
        public ValueTask MapDmaAsync(DmaWindow window, CancellationToken token) => client.MapDmaAsync(window, token);
        public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken token) => client.UnmapDmaAsync(start, sizeBytes, token);
        public ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken token) =>
            client.SetInterruptsAsync(index, eventFds, token);
        public ValueTask ResetAsync(CancellationToken token) => client.ResetAsync(token);
    }
}

public sealed class NetProcessContractTests() : DeviceProcessContract("net", "dma-rate=32");

public sealed class GpuProcessContractTests() : DeviceProcessContract("gpu", "memory-mib=1", "dirty-rate=64");

public sealed class SerialProcessContractTests() : DeviceProcessContract("serial");
