using MigrationCluster.Chaos.Cluster.Shim;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>A test that needs the preloaded library, and so a C compiler.</summary>
internal sealed class ShimFactAttribute : FactAttribute
{
    public ShimFactAttribute() => Skip = Shim.Missing();
}
