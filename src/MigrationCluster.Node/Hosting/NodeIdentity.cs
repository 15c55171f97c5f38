using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Hosting;

/// <summary>Who this node is. Its addresses are known once it listens, as ports may be any free ones.</summary>
public sealed class NodeIdentity(HostName name, string nodeId)
{
    private readonly TaskCompletionSource<string> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HostName Name => name;

    public string NodeId => nodeId;

    /// <summary>Of the HTTP API, e.g. http://127.0.0.1:7101. Ends when the node listens.</summary>
    public Task<string> Address => _address.Task;

    internal void Listening(string address) => _address.TrySetResult(address);
}
