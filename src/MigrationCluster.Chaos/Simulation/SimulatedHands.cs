using System.Collections.Immutable;
using MigrationCluster.Api;
using MigrationCluster.Chaos.Model;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Transfers;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>One life of a daemon acting on model guests: effects take their time, act in the middle of it, and may fail.</summary>
internal sealed class SimulatedHands(
    HostName host, SimulatedProcess process, GuestProcesses guests, DataPlane transfers, Weather weather, Surroundings surroundings,
    ImmutableArray<PlannedDevice> shape, Observer observer) : ISessionHands
{
    public HostName Host => host;

    public SimulatedProcess Process => process;

    public GuestProcesses Guests => guests;

    public DataPlane Transfers => transfers;

    public SourceHands OnSource { get; } = new(surroundings);

    public DestinationHands OnDestination { get; } = new(surroundings, shape);

    public ISourceHands Source(GuestName guest, string name) => new SourceSide(this, guest);

    public IDestinationHands Destination(GuestName guest, string name) => new DestinationSide(this, guest);

    /// <summary>Half of an effect's time: before it acts, and again before its end is heard.</summary>
    public Task WorkAsync(object effect, CancellationToken cancellationToken) =>
        Task.Delay(weather.Effort(Milliseconds(effect)), process.Clock, cancellationToken);

    /// <param name="wayBack">a device that is to run again may also refuse.</param>
    public Chance Draw(object effect, bool wayBack)
    {
        var chance = effect is SourceEffect.Isolate or DestinationEffect.Isolate ? Chance.Works
            : weather.Fails() ? weather.Random.Next(wayBack ? 3 : 2) switch
            {
                0 => Chance.Fails,
                1 => Chance.FailsAfterwards,
                _ => Chance.SaysNo,
            }
            : effect is SourceEffect.RunIteration && weather.Random.Next(3) == 0 ? Chance.SaysNo
            : effect is DestinationEffect.ConfirmSetup && weather.Random.Next(30) == 0 ? Chance.SaysNo
            : Chance.Works;
        if (observer.Tells) observer.Detail($"{host} performs {effect}{(chance == Chance.Works ? "" : $" ({chance})")}");
        return chance;
    }

    private static int Milliseconds(object effect) => effect switch
    {
        DestinationEffect.LaunchIncoming => 400,
        SourceEffect.RunIteration => 300,
        SourceEffect.SendFinal or SourceEffect.Release or DestinationEffect.Discard or DestinationEffect.ProveNeverRan => 50,
        _ => 5,
    };
}

internal sealed class SourceSide(SimulatedHands hands, GuestName guest) : ISourceHands
{
    public Func<SourceState> State { get; set; } = () => SourceState.New;

    public EffectRunner<SourceEffect, SourceCommand> Runner => new(
        RunAsync, (_, error) => new SourceCommand.Failed(null, "source.defect", error.Message, default));

    /// <summary>No bytes here.</summary>
    public void Limit(long? maxBytesPerSecond)
    {
    }

    public ProgressView? Progress => State() is { Phase: >= SourcePhase.PreCopy and < SourcePhase.Yielding }
        ? new ProgressView(State().Iteration, 0, 0, 0, 0, [])
        : null;

    public Task WatchDeathAsync(CancellationToken cancellationToken) =>
        hands.Guests.WatchDeathAsync(hands.Host, guest, hands.Process.Clock, cancellationToken);

    public async Task<SourceCommand> ReportDeathAsync(CancellationToken cancellationToken)
    {
        await hands.WorkAsync(this, cancellationToken);
        return Settle(SourceHands.Died(hands.Guests.Find(hands.Host, guest)));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task<SourceCommand?> RunAsync(SourceEffect effect, CancellationToken cancellationToken)
    {
        await hands.WorkAsync(effect, cancellationToken);
        var migration = State().Migration;
        bool arrives = hands.Transfers.Receives(State(), hands.Host);
        if (effect is SourceEffect.ConnectTransfer && arrives) hands.Transfers.Connect(migration, hands.Host, hands.Process);
        var result = Settle(hands.OnSource.Perform(
            State(), hands.Guests.Find(hands.Host, guest), effect, hands.Draw(effect, IsWayBack(effect)), arrives));
        if (result is SourceCommand.TransferBroke) hands.Transfers.Break(migration);
        await hands.WorkAsync(effect, cancellationToken);
        return result;
    }

    private bool IsWayBack(SourceEffect effect) => effect is SourceEffect.MoveDevice move && move.Device != DeviceName.Machine
        && State().Phase == SourcePhase.Keeping;

    private SourceCommand Settle(SourceOutcome outcome)
    {
        hands.Guests.Set(guest, outcome.Guest);
        if (outcome.Sent) hands.Transfers.Complete(State().Migration);
        return outcome.Result;
    }
}

internal sealed class DestinationSide(SimulatedHands hands, GuestName guest) : IDestinationHands
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(100);

    /// <summary>Far below the product's default, so that it passes in some runs.</summary>
    private static readonly TimeSpan Expiry = TimeSpan.FromSeconds(15);

    private readonly Silence _silence = new(hands.Process.Clock);

    public Func<DestinationState> State { get; set; } = () => DestinationState.New;

    public Action Launched { get; set; } = () => { };

    public EffectRunner<DestinationEffect, DestinationCommand> Runner => new(
        RunAsync, (_, error) => new DestinationCommand.Failed(null, "destination.defect", error.Message, default));

    public void OnOrder() => _silence.Break();

    public Task WatchDeathAsync(CancellationToken cancellationToken) =>
        hands.Guests.WatchDeathAsync(hands.Host, guest, hands.Process.Clock, cancellationToken);

    public async Task<DestinationCommand> WatchDevicesAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (hands.Guests.Find(hands.Host, guest)?.DeadDevice is { } dead)
                return new DestinationCommand.DeviceDied(dead, $"{dead} died", default);
            await Task.Delay(BetweenLooks, hands.Process.Clock, cancellationToken);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task<DestinationCommand?> RunAsync(DestinationEffect effect, CancellationToken cancellationToken)
    {
        if (effect is DestinationEffect.AwaitWord)
        {
            await _silence.LastsAsync(Expiry, () => hands.Transfers.IsLinked(State().Migration, hands.Process), cancellationToken);
            return new DestinationCommand.Expired(Expiry, default);
        }

        await hands.WorkAsync(effect, cancellationToken);
        bool wayBack = effect is DestinationEffect.MoveDevice move && move.Device != DeviceName.Machine
            && State().Phase == DestinationPhase.Resuming;
        var chance = hands.Draw(effect, wayBack);
        while (true)
        {
            var migration = State().Migration;
            var outcome = hands.OnDestination.Perform(
                hands.Host, State(), hands.Guests.Find(hands.Host, guest), effect, chance,
                hands.Transfers.Look(migration, hands.Process));
            hands.Guests.Set(guest, outcome.Guest);
            if (outcome.Result is DestinationCommand.IncomingLaunched or DestinationCommand.TransferOpened)
            {
                hands.Transfers.Open(migration, new Receiver(hands.Host, guest, hands.Process, State)
                {
                    Expects = outcome.Result is DestinationCommand.TransferOpened,
                });
                Launched();
            }

            if (outcome.Result is not null || effect is not DestinationEffect.Receive)
            {
                await hands.WorkAsync(effect, cancellationToken);
                return outcome.Result;
            }

            await Task.Delay(BetweenLooks, hands.Process.Clock, cancellationToken);
        }
    }
}
