using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Engine;

/// <summary>The coordinators' journal, appended under a fence.</summary>
public interface IMigrationJournal
{
    /// <summary>Appends all entries or none.</summary>
    /// <param name="after">how many entries of this migration the writer knows of.</param>
    /// <param name="durable">on disk before this returns; else it survives the coordinator process, not its host.</param>
    /// <exception cref="FencedOutException">a later term owns this migration.</exception>
    /// <exception cref="JournalChangedException">the journal is not as the writer left it.</exception>
    ValueTask AppendAsync(
        MigrationId migration, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable,
        CancellationToken cancellationToken);

    /// <summary>Every entry of one migration in order; empty when there is none.</summary>
    ValueTask<IReadOnlyList<JournalEntry>> ReadAsync(MigrationId migration, CancellationToken cancellationToken);

    /// <summary>Every migration that has an entry, oldest first.</summary>
    ValueTask<IReadOnlyList<MigrationId>> ListAsync(CancellationToken cancellationToken);
}

/// <param name="Type">the event's kind, for people who look into the journal.</param>
/// <param name="Body">the event as JSON.</param>
public sealed record JournalEntry(string Type, string Body);

/// <summary>A server that lost its power may have lost the last entries: what was written after them would make no sense without them.</summary>
public sealed class JournalChangedException(MigrationId migration, int known, int found)
    : IOException($"the journal of {migration} holds {found} entries, not the {known} that were written");

/// <summary>Somebody else coordinates this migration now; this coordinator must let go of it.</summary>
public sealed class FencedOutException(MigrationId migration, Term mine, Term current)
    : Exception($"{migration} is coordinated under {current}, not under {mine} any more");
