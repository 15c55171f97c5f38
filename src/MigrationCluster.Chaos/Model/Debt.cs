namespace MigrationCluster.Chaos.Model;

/// <summary>What the destination's copy of a guest lacks, and whether anybody still knows.</summary>
internal enum Debt
{
    /// <summary>The destination has every page as the source last wrote it.</summary>
    None = 0,

    /// <summary>Pages differ, and a dirty log or a report that nobody acknowledged says which.</summary>
    Known,

    /// <summary>Pages differ and nothing says which: NoDirtyPageLost is broken as soon as that copy runs.</summary>
    Forgotten,
}
