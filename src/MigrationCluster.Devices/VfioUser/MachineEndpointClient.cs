using System.Text;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>The machine's endpoint of a guest process. Map guest RAM with <see cref="VfioUserClient.MapRegion"/>: window i is
/// region 1 + i.</summary>
public sealed class MachineEndpointClient : EndpointClient, IMachineEndpoint
{
    private MachineEndpointClient(string path, VfioUserClientOptions? options) : base(path, options)
    {
    }

    /// <exception cref="ArgumentException">the path is too long for a UNIX socket.</exception>
    /// <exception cref="DeviceLostException">nobody listens there, or no answer in time.</exception>
    /// <exception cref="DeviceRefusedException">no machine endpoint, or another version; names the side to upgrade.</exception>
    public static new Task<MachineEndpointClient> ConnectAsync(
        string path, VfioUserClientOptions? options = null, CancellationToken cancellationToken = default) =>
        OpenAsync(new MachineEndpointClient(path, options), ServedKind.Machine, cancellationToken);

    public async ValueTask<GuestMemoryLayout> GetMemoryLayoutAsync(CancellationToken cancellationToken)
    {
        byte[] body = await FetchAsync(ExtensionCommand.GetMemoryLayout, default, cancellationToken);
        return MemoryLayoutMessage.TryRead(body, out var layout) ? layout : throw Broken("sends a malformed memory layout");
    }

    public async ValueTask<FenceRecord> ReadFenceAsync(CancellationToken cancellationToken) =>
        ParseFence(await FetchAsync(ExtensionCommand.ReadFence, default, cancellationToken));

    public async ValueTask<FenceRecord> CastVoteAsync(Vote vote, string? digest, CancellationToken cancellationToken) =>
        ParseFence(await FetchAsync(
            ExtensionCommand.CastVote, new CastVoteRequest(vote, digest).ToArray(), cancellationToken));

    public ValueTask SetPauseDeadlineAsync(TimeSpan deadline, CancellationToken cancellationToken) =>
        SendAsync(
            ExtensionCommand.SetPauseDeadline, Number((ulong)(deadline.Ticks / TimeSpan.TicksPerMicrosecond)), default,
            cancellationToken);

    public ValueTask ThrottleVcpusAsync(int percent, TimeSpan lease, CancellationToken cancellationToken)
    {
        byte[] body = new byte[ThrottleRequest.Size];
        new ThrottleRequest(percent, lease).Write(body);
        return SendAsync(ExtensionCommand.ThrottleVcpus, body, default, cancellationToken);
    }

    public ValueTask IsolateDeviceAsync(DeviceName device, CancellationToken cancellationToken) =>
        SendAsync(ExtensionCommand.IsolateDevice, Encoding.UTF8.GetBytes(device.Value), default, cancellationToken);

    public ValueTask ShutDownAsync(CancellationToken cancellationToken) =>
        SendAsync(ExtensionCommand.ShutDown, default, default, cancellationToken);

    private FenceRecord ParseFence(byte[] body) =>
        FenceRecordMessage.TryRead(body, out var record) ? record! : throw Broken("sends a malformed fence record");
}
