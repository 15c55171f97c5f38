using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Coordination;

/// <summary>Carries out a coordinator machine's effects: tells agents, swaps the guest's row, keeps deadlines.</summary>
public sealed class CoordinatorEffects(
    MigrationId migration, GuestName guest, IGuestRows rows, IAgents agents, TimeProvider time)
{
    /// <summary>The machine's state as last evolved.</summary>
    public Func<CoordinatorState> State { get; set; } = () => CoordinatorState.New;

    public EffectRunner<CoordinatorEffect, CoordinatorCommand> Runner => new(RunAsync, (_, error) => throw new IOException(error.Message, error));

    private async Task<CoordinatorCommand?> RunAsync(CoordinatorEffect effect, CancellationToken cancel)
    {
        switch (effect)
        {
            case CoordinatorEffect.Send send:
                return await SendAsync(send.Command, cancel);
            case CoordinatorEffect.Decide decide:
                return new CoordinatorCommand.RowRead(await SwapAsync(decide, cancel), time.GetUtcNow());
            case CoordinatorEffect.Alarm alarm:
                await Task.Delay(alarm.After, time, cancel);
                return new CoordinatorCommand.DeadlinePassed(alarm.Phase, time.GetUtcNow());
            default:
                throw new InvalidOperationException($"unknown effect {effect.GetType().Name}");
        }
    }

    /// <summary>An agent that cannot be reached is asked again; silence decides nothing.</summary>
    private async Task<CoordinatorCommand?> SendAsync(AgentCommand command, CancellationToken cancel)
    {
        var plan = State().Plan!;
        var host = command.Side == Side.Source ? plan.Source : plan.Destination;
        try
        {
            return await agents.SendAsync(host, command, cancel) is { } refusal
                ? new CoordinatorCommand.CommandRefused(command, refusal.Code, $"{host}: {refusal.Message}", time.GetUtcNow())
                : null;
        }
        catch (AgentUnreachableException)
        {
            return null;
        }
    }

    /// <summary>Whoever wins the swap, the row as it then reads is the answer; also after a swap whose outcome is unknown.</summary>
    private async Task<GuestRow> SwapAsync(CoordinatorEffect.Decide decide, CancellationToken cancel)
    {
        var plan = State().Plan!;
        while (true)
        {
            var record = await rows.ReadAsync(guest, cancel)
                ?? throw new IOException($"the row of {guest} is gone");
            var next = decide switch
            {
                { Decision: OwnershipDecision.Committed } => record.Row.Commit(migration, plan.Fence.Epoch),
                { OnProof: true } => record.Row.AbortOnProof(migration, plan.Fence.Epoch, plan.Source),
                _ => record.Row.Abort(migration, plan.Fence.Epoch),
            };
            if (next is null) return record.Row;
            if (await rows.CompareAndSwapAsync(record, record with { Row = next }, cancel)) return next;
        }
    }
}
