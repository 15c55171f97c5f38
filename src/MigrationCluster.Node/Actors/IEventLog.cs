namespace MigrationCluster.Node.Actors;

/// <summary>Where a machine's events live. One log per machine.</summary>
public interface IEventLog<TEvent>
{
    /// <summary>Appends all events or none; returns when they are as safe as they have to be.</summary>
    ValueTask AppendAsync(IReadOnlyList<TEvent> events, CancellationToken cancellationToken);

    /// <summary>Every event of this machine, in the order they were appended.</summary>
    ValueTask<IReadOnlyList<TEvent>> ReadAsync(CancellationToken cancellationToken);
}
