using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.Contract;

/// <summary>A device behind a server and a client in this process; disposing it ends client, server and device.</summary>
public sealed class ServedDevice : IMigratableDevice
{
    private readonly string _directory;
    private readonly IMigratableDevice _device;
    private readonly VfioUserServer _server;
    private readonly VfioUserClient _client;

    private ServedDevice(string directory, IMigratableDevice device, VfioUserServer server, VfioUserClient client)
    {
        (_directory, _device, _server, _client) = (directory, device, server, client);
    }

    public DeviceShape Shape => _client.Shape;

    /// <summary>Serves <paramref name="device"/>, which is taken over, and connects to it.</summary>
    public static async Task<ServedDevice> StartAsync(IMigratableDevice device, VfioUserClientOptions? options = null)
    {
        string directory = Directory.CreateTempSubdirectory("mc-").FullName;
        string path = Path.Combine(directory, "d.sock");
        var server = VfioUserServer.Start(path, device);
        return new ServedDevice(directory, device, server, await VfioUserClient.ConnectAsync(path, options));
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
        await _device.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken) =>
        _client.ProbeMigrationAsync(cancellationToken);

    public ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken) => _client.GetStateAsync(cancellationToken);

    public ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken) =>
        _client.SetStateAsync(target, cancellationToken);

    public ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _client.ReadDataAsync(buffer, cancellationToken);

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        _client.WriteDataAsync(data, cancellationToken);

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken) =>
        _client.GetPreCopyBytesAsync(cancellationToken);

    public ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken) =>
        _client.StartDirtyLogAsync(pageSizeBytes, cancellationToken);

    public ValueTask StopDirtyLogAsync(CancellationToken cancellationToken) => _client.StopDirtyLogAsync(cancellationToken);

    public ValueTask ReportDirtyAsync(
        Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken) =>
        _client.ReportDirtyAsync(start, sizeBytes, bitmap, cancellationToken);

    public ValueTask ReadRegionAsync(
        int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken) =>
        _client.ReadRegionAsync(region, offset, destination, cancellationToken);

    public ValueTask WriteRegionAsync(
        int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken) =>
        _client.WriteRegionAsync(region, offset, source, cancellationToken);

    public ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken) =>
        _client.MapDmaAsync(window, cancellationToken);

    public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken) =>
        _client.UnmapDmaAsync(start, sizeBytes, cancellationToken);

    public ValueTask SetInterruptsAsync(
        int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken) =>
        _client.SetInterruptsAsync(index, eventFds, cancellationToken);

    public ValueTask ResetAsync(CancellationToken cancellationToken) => _client.ResetAsync(cancellationToken);
}
