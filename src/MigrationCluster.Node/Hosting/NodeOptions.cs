using System.Net;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Hosting;

/// <summary>How this node was started.</summary>
/// <param name="Listen">of the HTTP API; port 0: any free one.</param>
/// <param name="DataListen">of the data plane; port 0: any free one.</param>
/// <param name="Join">coordinators of the cluster to join, any of which will do; none: this node is a coordinator.</param>
/// <param name="Connection">of the PostgreSQL engine; null: the embedded one.</param>
/// <param name="Credentials">for mutual TLS; null: plainly, on loopback.</param>
/// <param name="Advertise">where others reach this node, port 0: at the one it listens on; null: where it listens.</param>
public sealed record NodeOptions(
    HostName Name, IPEndPoint Listen, IPEndPoint DataListen, string DataDirectory, NodeConfig Config, IReadOnlyList<Uri> Join,
    string? Connection = null, Credentials? Credentials = null, DnsEndPoint? Advertise = null)
{
    public bool Coordinator => Join.Count == 0;

    /// <summary>What one option may be depends on another.</summary>
    /// <exception cref="StartRefusedException">something would be said unsealed, the certificate is not of this node, or others could not reach it.</exception>
    public void Check()
    {
        if (NodeAddress.RefuseListen(Listen, Credentials is not null) is { } unsealed)
            throw new StartRefusedException($"--listen: {unsealed}", exitCode: 2);
        foreach (var url in Join)
            if (NodeAddress.RefuseUrl(url, Credentials is not null) is { } refusal)
                throw new StartRefusedException($"--join: {refusal}", exitCode: 2);
        if (Advertise is null && NodeAddress.IsEvery(Listen.Address))
            throw new StartRefusedException($"--listen {Listen} is every address of this host: say with --advertise at which one others reach it", exitCode: 2);
        if (Credentials is not { Identity: var identity }) return;
        if (!identity.IsNode(Name.Value))
            throw new StartRefusedException($"--certs: the certificate is of {identity}, and this is node {Name}: have one issued with `migctl certs issue --node {Name}`");
        if (Coordinator && identity.Role != CertificateRole.Coordinator)
            throw new StartRefusedException(
                $"--coordinator: the certificate is of {identity}, which commands nobody: have one issued with `migctl certs issue --node {Name} --may-coordinate`");
        string host = Advertise?.Host ?? Listen.Address.ToString();
        if (!Credentials.Serves(host))
            throw new StartRefusedException($"--certs: the certificate of {identity} is not for {host}, where others reach it: have one issued with --address {host}");
    }
}
