using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;
using Npgsql;

namespace MigrationCluster.Node.Tests.Journal;

/// <summary>What only a server of its own can show: schema, crashes, and locks between coordinators.</summary>
public sealed class PostgresStoreTests(Engines engines) : IClassFixture<Engines>
{
    private static readonly MigrationId M1 = new("m-1");
    private static readonly GuestRecord Record = new(GuestRow.Start(new("g"), new("a"), new(1)), "{}", Placement.Placed);

    [Theory, OnPostgres]
    public async Task A_server_that_was_away_is_named_and_used_again_when_it_is_back(string engine)
    {
        await using var store = engines.New(engine)();
        Assert.True(await store.CompareAndSwapAsync(null, Record, default));
        engines.Server.Stop();

        var lost = await Assert.ThrowsAsync<IOException>(async () => await store.ReadAsync(Record.Row.Guest, default));
        Assert.Contains("PostgreSQL at", lost.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(async () => await store.CompareAndSwapAsync(null, Record, default));

        engines.Server.Start();
        Assert.Equal(Record, await store.ReadAsync(Record.Row.Guest, default));
    }

    [Theory, OnPostgres]
    public async Task What_was_durable_survives_a_crash_of_the_server(string engine)
    {
        var open = engines.New(engine);
        await using var store = open();
        var fence = new Fence(new(2), await store.AcquireAsync(M1, default));
        await store.AppendAsync(M1, fence, [new("Observed", "{}")], durable: false, default);
        await store.AppendAsync(M1, fence, [new("Planned", "{}")], durable: true, default);
        engines.Server.Stop();
        engines.Server.Start();

        await using var again = open();
        Assert.Equal(["Observed", "Planned"], (await again.ReadAsync(M1, default)).Select(entry => entry.Type));
    }

    [Theory, OnPostgres]
    public async Task An_append_under_way_makes_the_next_tenure_wait_and_one_after_it_is_refused(string engine)
    {
        string connection = engines.Server.CreateDatabase();
        Assert.Equal(Engines.Postgres, engine);
        await using var store = new PostgresStore(connection);
        var old = new Fence(new(2), await store.AcquireAsync(M1, default));
        await using var other = new NpgsqlConnection(connection + ";Search Path=migration_cluster");
        await other.OpenAsync();
        await using var tx = await other.BeginTransactionAsync();
        await using (var locks = new NpgsqlCommand("SELECT term FROM terms WHERE migration = 'm-1' FOR UPDATE", other, tx))
            await locks.ExecuteScalarAsync();

        var takeOver = store.AcquireAsync(M1, default).AsTask();
        await WaitForLockAsync(connection);
        Assert.False(takeOver.IsCompleted);
        await tx.CommitAsync();

        Assert.Equal(old.Term.Value + 1, (await takeOver).Value);
        await Assert.ThrowsAsync<FencedOutException>(async () =>
            await store.AppendAsync(M1, old, [new("PhaseEntered", "{}")], durable: true, default));
    }

    [Theory, OnPostgres]
    public void Two_coordinators_that_start_at_once_make_one_schema(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        var stores = new PostgresStore[4];
        Parallel.For(0, stores.Length, i => stores[i] = new PostgresStore(connection));
        Assert.All(stores, Assert.NotNull);
    }

    [Theory, OnPostgres]
    public void A_schema_of_a_later_release_is_refused_by_name(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        _ = new PostgresStore(connection);
        using (var db = new NpgsqlConnection(connection))
        {
            db.Open();
            using var later = new NpgsqlCommand("INSERT INTO migration_cluster.schema_version VALUES (99)", db);
            later.ExecuteNonQuery();
        }

        Assert.Contains("schema 99", Assert.Throws<IOException>(() => new PostgresStore(connection)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_server_that_is_not_there_and_a_string_that_is_none_are_named()
    {
        using var nowhere = new TempDirectory();
        Assert.Contains(nowhere.Path, Assert.Throws<IOException>(
            () => new PostgresStore($"Host={nowhere.Path};Username=mc")).Message, StringComparison.Ordinal);
        Assert.Contains("connection string", Assert.Throws<IOException>(() => new PostgresStore("Hots=x")).Message, StringComparison.Ordinal);
    }

    /// <summary>Until somebody waits for a lock: the barrier of a test, not a wait for time.</summary>
    private static async Task WaitForLockAsync(string connection)
    {
        await using var db = new NpgsqlConnection(connection);
        await db.OpenAsync();
        await using var waiting = new NpgsqlCommand(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()", db);
        while ((long)(await waiting.ExecuteScalarAsync())! == 0) await Task.Yield();
    }
}
