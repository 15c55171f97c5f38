using System.Net;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Hosting;

/// <summary>How this node was started.</summary>
/// <param name="Listen">of the HTTP API; port 0: any free one.</param>
/// <param name="DataListen">of the data plane; port 0: any free one.</param>
/// <param name="Join">coordinators of the cluster to join, any of which will do; none: this node is a coordinator.</param>
/// <param name="Connection">of the PostgreSQL engine; null: the embedded one.</param>
public sealed record NodeOptions(
    HostName Name, IPEndPoint Listen, IPEndPoint DataListen, string DataDirectory, NodeConfig Config, IReadOnlyList<Uri> Join,
    string? Connection = null)
{
    public bool Coordinator => Join.Count == 0;
}
