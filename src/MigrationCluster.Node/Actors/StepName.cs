using MigrationCluster.Protocol.Coordinator;

namespace MigrationCluster.Node.Actors;

/// <summary>What people call an event or an effect: its kind; where it only carries somebody else's, that one's.</summary>
public static class StepName
{
    public static string Of(object step) => step switch
    {
        CoordinatorEvent.Observed observed => observed.Event.GetType().Name,
        CoordinatorEffect.Send send => send.Command.GetType().Name,
        _ => step.GetType().Name,
    };
}
