using MigrationCluster.Devices.Tests.Contract;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.VfioUser;

/// <summary>A served sample device with everything reachable: directory, server, device; clients come and go.</summary>
internal sealed class ServerBench : IAsyncDisposable
{
    public const MigrationCapabilities All =
        MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;

    private readonly string _directory = Directory.CreateTempSubdirectory("mc-").FullName;
    private readonly List<IAsyncDisposable> _clients = [];

    public ServerBench(SampleDevice? device = null, bool extension = true)
    {
        Device = device ?? new SampleDevice(All);
        SocketPath = Path.Combine(_directory, "d.sock");
        Server = VfioUserServer.Start(SocketPath, Device, fault => Faults.Add(fault), extension: extension);
    }

    public string SocketPath { get; }
    public SampleDevice Device { get; }
    public VfioUserServer Server { get; }
    public List<Exception> Faults { get; } = [];

    public async Task<VfioUserClient> ConnectAsync(VfioUserClientOptions? options = null) =>
        Keep(await VfioUserClient.ConnectAsync(SocketPath, options));

    public async Task<MachineEndpointClient> ConnectMachineAsync() =>
        Keep(await MachineEndpointClient.ConnectAsync(SocketPath));

    public RawPeer ConnectRaw() => Keep(RawPeer.Connect(SocketPath));

    public T Keep<T>(T client) where T : IAsyncDisposable
    {
        _clients.Add(client);
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients) await client.DisposeAsync();
        await Server.DisposeAsync();
        await Device.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
        Assert.Empty(Faults);
    }
}
