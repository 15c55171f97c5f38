namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>The verdict over every source and every offer of a class, two bits each.</summary>
internal sealed class PairVerdicts(BitRows refused, BitRows unsure)
{
    internal VerdictKind this[int source, int offer] =>
        refused[source, offer] ? VerdictKind.Incompatible : unsure[source, offer] ? VerdictKind.Unknown : VerdictKind.Compatible;
}
