namespace MigrationCluster.Node.Actors;

/// <summary>The actor failed on this message. What it had persisted before stays; the actor restarts from it.</summary>
public sealed class ActorFailedException(string actor, Exception error)
    : Exception($"{actor} failed on this message: {error.Message}", error);

/// <summary>The actor was stopped before it came to this message.</summary>
public sealed class ActorStoppedException(string actor) : Exception($"{actor} has stopped");
