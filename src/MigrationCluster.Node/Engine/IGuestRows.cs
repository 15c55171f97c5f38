using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Engine;

/// <summary>The rows that say who owns each guest. Every engine fsyncs a swap before it answers.</summary>
public interface IGuestRows
{
    /// <returns>null: no guest of this name was ever started.</returns>
    ValueTask<GuestRecord?> ReadAsync(GuestName guest, CancellationToken cancellationToken);

    /// <summary>All rows, vacant ones too, by name.</summary>
    ValueTask<IReadOnlyList<GuestRecord>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Replaces the whole record if it still equals <paramref name="expected"/>; null: there must be none.</summary>
    /// <returns>false: it reads otherwise; nothing changed.</returns>
    /// <exception cref="IOException">the store cannot say; read again before assuming anything.</exception>
    ValueTask<bool> CompareAndSwapAsync(GuestRecord? expected, GuestRecord next, CancellationToken cancellationToken);
}
