using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Node.Transfers;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.Transfers;

public sealed class AgentSessionsTests : ISupervisor
{
    private static readonly MigrationId Id = new("m-1");

    [Fact]
    public async Task A_device_that_dies_under_a_launched_guest_is_told_and_journaled()
    {
        using var directory = new TempDirectory();
        using var journal = new AgentJournal(Path.Combine(directory.Path, "agent.db"), TimeProvider.System);
        var hands = new OneDestination();
        using var sessions = new AgentSessions(
            journal, hands, new SourceMachine(), new DestinationMachine(), this, TimeProvider.System);
        await sessions.HandleAsync(
            new PrepareDestination(Id, new GuestName("g"), new Fence(new Epoch(2), new Term(1)), "{}"), default);

        hands.Died.SetResult(new DestinationCommand.DeviceDied(new DeviceName("net0"), "net0 died", default));

        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!journal.ReadMigration(Id, Side.Destination).Any(e => e.Event is DestinationFailed { Reason: "net0 died" }))
            await Task.Delay(5, limit.Token);
        await sessions.StopAsync(default);
    }

    void ISupervisor.ChildFailed(ActorFailure failure) => Assert.Fail(failure.ToString());

    /// <summary>Launches at once, and then waits for everything.</summary>
    private sealed class OneDestination : ISessionHands, IDestinationHands
    {
        public TaskCompletionSource<DestinationCommand> Died { get; } = new();

        public Func<DestinationState> State { get; set; } = () => DestinationState.New;

        public Action Launched { get; set; } = () => { };

        public EffectRunner<DestinationEffect, DestinationCommand> Runner => new(RunAsync, (_, _) => null);

        public ISourceHands Source(GuestName guest, string name) => throw new NotSupportedException();

        public IDestinationHands Destination(GuestName guest, string name) => this;

        public void OnOrder()
        {
        }

        public Task WatchDeathAsync(CancellationToken cancellationToken) => Task.Delay(-1, cancellationToken);

        public Task<DestinationCommand> WatchDevicesAsync(CancellationToken cancellationToken) => Died.Task.WaitAsync(cancellationToken);

        public ValueTask DisposeAsync() => default;

        private async Task<DestinationCommand?> RunAsync(DestinationEffect effect, CancellationToken cancellationToken)
        {
            if (effect is not DestinationEffect.LaunchIncoming) await Task.Delay(-1, cancellationToken);
            Launched();
            return new DestinationCommand.IncomingLaunched("127.0.0.1:1", "00",
                [new PlannedDevice(DeviceName.Machine, MigrationCapabilities.StopCopy, -1, DeviceState.Stop)], default);
        }
    }
}
