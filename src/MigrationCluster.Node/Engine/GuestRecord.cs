using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Engine;

/// <summary>Whether a guest's row is about a guest that should exist.</summary>
public enum Placement
{
    /// <summary>The guest exists: at the row's owner, or moving.</summary>
    Placed = 1,

    /// <summary>Given up (stopped, or a launch that may have failed), but its process at the owner may still live.</summary>
    Vacating = 2,

    /// <summary>No process of it lives anywhere. The row stays, because epochs only grow.</summary>
    Vacant = 3,
}

/// <summary>The row per guest with what is kept beside it.</summary>
/// <param name="SpecJson">the guest spec as the operator wrote it.</param>
public sealed record GuestRecord(GuestRow Row, string SpecJson, Placement Placement);
