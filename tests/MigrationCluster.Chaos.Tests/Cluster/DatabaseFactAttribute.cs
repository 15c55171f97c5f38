using MigrationCluster.Chaos.Cluster;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>A test that needs PostgreSQL's programs.</summary>
internal sealed class DatabaseFactAttribute : FactAttribute
{
    public DatabaseFactAttribute() => Skip = Database.Missing();
}
