using MigrationCluster.Chaos.Cluster;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>A test that needs network namespaces, and the right to make them.</summary>
internal sealed class NamespaceFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Reason = new(Network.Missing);

    public NamespaceFactAttribute() => Skip = Reason.Value;
}
