namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>The real time, on a clock that is wrong.</summary>
public sealed class ShiftedTime(TimeSpan ahead) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + ahead;
}
