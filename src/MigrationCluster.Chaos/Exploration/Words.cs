using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>A step in words: who, and what happens.</summary>
internal sealed class Words(Space space, AgentMoves agents)
{
    public string Of(ReadOnlySpan<int> before, ReadOnlySpan<int> after, Step step)
    {
        string side = step.Side == 0 ? "source" : "destination";
        string line = step.Kind switch
        {
            StepKind.Begin => "operator: migrates the guest to the other host",
            StepKind.Hear => $"coordinator: hears {Name(step.A)} of the {side}",
            StepKind.HearThenDie => $"coordinator: hears {Name(step.A)} of the {side}, dies before it moves its cursor, carries on from its journal",
            StepKind.Deliver => Delivered(before, after, step),
            StepKind.Swap => $"store: swaps the row to {Decision(step)}; the coordinator reads {Row(after)}",
            StepKind.SwapUnheard => $"store: swaps the row to {Decision(step)}, {Row(after)}; the answer is lost",
            StepKind.DisplacedSwap => $"store: the displaced coordinator's swap to {Decision(step)} arrives; it reads {Row(after)}",
            StepKind.DisplacedHears => $"displaced coordinator: hears {Name(step.A)} of the {side}, and the journal takes what it makes of it",
            StepKind.DisplacedDeadline => $"displaced coordinator: the deadline of {(MigrationPhase)step.A} passes, and the journal takes it",
            StepKind.Deadline => $"coordinator: the deadline of {(MigrationPhase)step.A} passes",
            StepKind.Cancel => "operator: cancels",
            StepKind.LimitBandwidth => "operator: chooses another bandwidth",
            StepKind.CoordinatorDies => "coordinator: dies and carries on from its journal under the next term",
            StepKind.LeaseExpires => "lease: expires; another coordinator carries on under the next term, the displaced one lives on",
            StepKind.Perform => $"{side} agent: {Performed(before, step)}",
            StepKind.PerformSlowly => $"{side} agent: {Performed(before, step)}; the answer is slow",
            StepKind.PerformThenDie => $"{side} agent: {Performed(before, step)}, and its daemon dies before it is journaled",
            StepKind.LateAnswer => $"{side} agent: hears the slow answer to {agents.LateAnswers[step.A].Effect}",
            StepKind.DaemonDies => $"daemon on {Space.Hosts[step.Side]}: dies and comes back",
            StepKind.GuestDies => $"guest process on {Space.Hosts[step.Side]}: dies",
            StepKind.DeviceDies => $"device server on {Space.Hosts[step.Side]}: dies",
            StepKind.NoticeDeath => $"{side} agent: notices that its guest process, or a device server of it, is dead",
            StepKind.Expires => "destination agent: has heard of nobody for as long as it keeps an incoming guest",
            StepKind.KeepsItself => $"guest process on {Space.Hosts[step.Side]}: its pause deadline passes",
            StepKind.CutOff => $"network: cuts {Space.Hosts[step.Side]} off",
            StepKind.Mend => $"network: {Space.Hosts[step.Side]} can be reached again",
            StepKind.HostDies => $"host {Space.Hosts[step.Side]}: dies for good, with everything on it",
            StepKind.ProveDead => $"operator: proves {Space.Hosts[step.Side]} dead",
            _ => step.Kind.ToString(),
        };
        return line + Phases(before, after);
    }

    private string Delivered(ReadOnlySpan<int> before, ReadOnlySpan<int> after, Step step)
    {
        var order = space.Messages[step.A];
        int[] tried = before.ToArray();
        string? refusal = agents.Deliver(tried, step.Attempt, step.A);
        bool old = space.Sequences[before[Layout.At(step.Attempt, Layout.InFlight)]].Contains(step.A);
        string text = $"network: {(old ? "an old " : "")}{order.GetType().Name} {order.Fence} arrives at the {order.Side.ToString().ToLowerInvariant()}";
        return refusal is null ? text : $"{text}, which refuses it ({refusal})";
    }

    private string Name(int agentEvent) => space.AgentEvents[agentEvent].GetType().Name;

    private string Decision(Step step) =>
        ((CoordinatorEffect.Decide)space.Coordinators.Pending(step.A)[step.B]) is { Decision: var decision, OnProof: var proof }
            ? $"{decision}{(proof ? " on proof" : "")}" : "";

    private string Row(ReadOnlySpan<int> state)
    {
        var row = space.Rows[state[Layout.Row]];
        return $"{row.Decision} {row.Epoch}, owner {row.Owner}";
    }

    private string Performed(ReadOnlySpan<int> before, Step step)
    {
        string what = agents.Effect(before, step.Attempt, step.Side, step.A / 4) switch
        {
            SourceEffect.MoveDevice move => $"moves {move.Device} to {move.Target}",
            SourceEffect.CastVote cast => $"has the guest process vote {cast.Vote} at {cast.Fence}",
            SourceEffect.RunIteration run => $"runs iteration {run.Iteration}",
            SourceEffect.Isolate isolate => $"has {isolate.Device} isolated",
            DestinationEffect.MoveDevice move => $"moves {move.Device} to {move.Target}",
            DestinationEffect.Isolate isolate => $"has {isolate.Device} isolated",
            var effect => effect.GetType().Name,
        };
        return (Chance)(step.A % 4) switch
        {
            Chance.Fails => $"{what}, which fails",
            Chance.FailsAfterwards => $"{what}, and the answer is a failure",
            Chance.SaysNo => $"{what}: not so",
            _ => what,
        };
    }

    /// <summary>Where a coordinator enters a phase, the line says so.</summary>
    private string Phases(ReadOnlySpan<int> before, ReadOnlySpan<int> after)
    {
        string text = "";
        for (int attempt = 0; attempt < space.Begun(after); attempt++)
        {
            int old = before[Layout.At(attempt, Layout.Owner)];
            var phase = space.Coordinators.States[after[Layout.At(attempt, Layout.Owner)]].Phase;
            if (old == 0 || space.Coordinators.States[old].Phase != phase) text += $" -> {phase}";
        }

        return text;
    }
}
