using MigrationCluster.Chaos.Model;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>
/// A coordinator's connection to the store. A statement that was sent is run whatever has become of its sender; an answer may be
/// lost, and then whether it was run is not known.
/// </summary>
/// <param name="coordinator">tells this coordinator from every other, and stays the same when it is restarted.</param>
internal sealed class SimulatedEngine(
    SimulatedStore store, VirtualTime time, string coordinator, Weather weather, Surroundings surroundings) : IEngine
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public async ValueTask<GuestRecord?> ReadAsync(GuestName guest, CancellationToken cancellationToken) =>
        await RunAsync(() => store.Read(guest), cancellationToken);

    async ValueTask<IReadOnlyList<GuestRecord>> IGuestRows.ListAsync(CancellationToken cancellationToken) =>
        await RunAsync(() => store.Rows, cancellationToken);

    public async ValueTask<bool> CompareAndSwapAsync(
        GuestRecord? expected, GuestRecord next, CancellationToken cancellationToken)
    {
        // What is learned while a swap is under way comes too late for it.
        bool knows = store.KnowsOfDeath(next);
        return await RunAsync(() => store.Swap(expected, next, knows), cancellationToken);
    }

    public async ValueTask AppendAsync(
        MigrationId migration, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable, CancellationToken cancellationToken)
    {
        if (!surroundings.AppendChecksTerm) await RunAsync(Check, cancellationToken);
        await RunAsync(
            () =>
            {
                if (surroundings.AppendChecksTerm) Check();
                store.Append(migration, fence, after, entries, durable);
                return true;
            },
            cancellationToken);

        bool Check() => fence.Term >= store.TermOf(migration)
            ? true
            : throw new FencedOutException(migration, fence.Term, store.TermOf(migration));
    }

    public async ValueTask<IReadOnlyList<JournalEntry>> ReadAsync(MigrationId migration, CancellationToken cancellationToken) =>
        await RunAsync(() => store.Read(migration), cancellationToken);

    async ValueTask<IReadOnlyList<MigrationId>> IMigrationJournal.ListAsync(CancellationToken cancellationToken) =>
        await RunAsync(() => store.Journaled, cancellationToken);

    public async ValueTask<Term> AcquireAsync(MigrationId migration, CancellationToken cancellationToken) =>
        await RunAsync(() => store.Acquire(migration, coordinator), cancellationToken);

    public async ValueTask<Tenure> RenewAsync(
        IReadOnlyCollection<MigrationId> mine, string? address, TimeSpan lease, CancellationToken cancellationToken) =>
        await RunAsync(() => store.Renew(mine, coordinator, time.Now, lease), cancellationToken);

    public async ValueTask ResignAsync(CancellationToken cancellationToken) =>
        await RunAsync(() => Done(() => store.Resign(coordinator, time.Now)), cancellationToken);

    public Task ToldAsync(CancellationToken cancellationToken)
    {
        var call = new Call<bool>(cancellationToken);
        store.Listen(coordinator, () => time.After(weather.StoreLatency(), () => call.Answer(true)));
        return call.EndAsync();
    }

    public async ValueTask<bool> EndAsync(MigrationId migration, int entries, CancellationToken cancellationToken) =>
        await RunAsync(() => store.End(migration, entries), cancellationToken);

    /// <remarks>Coordinators have no addresses here: an operator asks them one after the other.</remarks>
    public ValueTask<string?> CoordinatorOfAsync(MigrationId migration, CancellationToken cancellationToken) => new((string?)null);

    public async ValueTask<Member?> AdmitAsync(Member member, CancellationToken cancellationToken) =>
        await RunAsync(() => store.Admit(member), cancellationToken);

    async ValueTask<IReadOnlyList<Member>> IMembership.ListAsync(CancellationToken cancellationToken) =>
        await RunAsync(() => store.Members, cancellationToken);

    public async ValueTask<long> ReadAsync(HostName agent, CancellationToken cancellationToken) =>
        await RunAsync(() => store.Cursor(coordinator, agent), cancellationToken);

    public async ValueTask MoveAsync(HostName agent, long number, CancellationToken cancellationToken) =>
        await RunAsync(() => Done(() => store.MoveCursor(coordinator, agent, number)), cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static bool Done(Action action)
    {
        action();
        return true;
    }

    private Task<T> RunAsync<T>(Func<T> transaction, CancellationToken cancellationToken)
    {
        var call = new Call<T>(cancellationToken);
        if (weather.IsCut(coordinator, Weather.Store))
            time.After(Patience, () => call.Fail(new IOException("the store does not answer")));
        else
            time.After(weather.StoreLatency(), () => Execute(call, transaction));
        return call.EndAsync();
    }

    private void Execute<T>(Call<T> call, Func<T> transaction)
    {
        if (weather.StoreDown)
        {
            time.After(weather.StoreLatency(), () => call.Fail(new IOException("the store refuses connections")));
            return;
        }

        Action answer;
        try
        {
            var result = transaction();
            answer = () => call.Answer(result);
        }
        catch (Exception refused) when (refused is FencedOutException or JournalChangedException)
        {
            answer = () => call.Fail(refused);
        }

        bool lost = weather.LosesAnswer() || weather.IsCut(Weather.Store, coordinator);
        time.After(lost ? Patience : weather.StoreLatency(), lost
            ? () => call.Fail(new IOException("the connection to the store broke; whether it was done is not known"))
            : answer);
    }
}
