namespace MigrationCluster.Node.Actors;

/// <summary>Who hears of an actor's failures. The actor restarts by itself; its supervisor decides what that means.</summary>
/// <remarks>Called on the failing actor's loop: must not block and must not throw. A parent that is an actor itself posts
/// the failure into its own mailbox.</remarks>
public interface ISupervisor
{
    void ChildFailed(ActorFailure failure);
}

/// <param name="Actor">the actor's name, e.g. migration/m-7f3a9c.</param>
/// <param name="Recovering">true: it failed while rebuilding its state and will try again.</param>
public sealed record ActorFailure(string Actor, Exception Error, bool Recovering);
