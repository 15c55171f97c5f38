using System.Net;
using System.Net.Sockets;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.EndToEnd;
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

    /// <remarks>Of several hosts, a connection that is given up ends with "no suitable host", not with a cancellation.</remarks>
    [Theory, OnPostgres]
    public async Task It_closes_in_good_order_while_it_looks_for_a_server_that_is_away(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var connection = new NpgsqlConnectionStringBuilder(engines.Server.CreateDatabase());
        connection.Host += $",127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port}";
        var store = new PostgresStore(connection.ConnectionString, "test");
        engines.Server.Stop();
        try
        {
            using var asked = await silent.AcceptTcpClientAsync();
            await store.DisposeAsync();
        }
        finally
        {
            engines.Server.Start();
        }
    }

    [Theory, OnPostgres]
    public async Task What_was_durable_survives_a_crash_of_the_server(string engine)
    {
        var open = engines.New(engine);
        await using var store = open();
        var fence = new Fence(new(2), await store.AcquireAsync(M1, default));
        await store.AppendAsync(M1, fence, 0, [new("Observed", "{}")], durable: false, default);
        await store.AppendAsync(M1, fence, 1, [new("Planned", "{}")], durable: true, default);
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
        await using var store = new PostgresStore(connection, "test");
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
            await store.AppendAsync(M1, old, 0, [new("PhaseEntered", "{}")], durable: true, default));
    }

    [Theory, OnPostgres]
    public async Task Only_what_nobody_alive_coordinates_is_taken_on_and_its_old_coordinator_hears_of_it(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        await using var one = new PostgresStore(connection, "one");
        await using var two = new PostgresStore(connection, "two");
        var old = new Fence(new(2), await one.AcquireAsync(M1, default));
        await one.RenewAsync([M1], "http://one", TimeSpan.FromMinutes(1), default);
        Assert.Empty((await two.RenewAsync([], "http://two", TimeSpan.FromMinutes(1), default)).Taken);
        Assert.Equal("http://one", await two.CoordinatorOfAsync(M1, default));

        await one.ResignAsync(default);
        Assert.Null(await two.CoordinatorOfAsync(M1, default));
        Assert.Equal([(M1, new Term(2))], (await two.RenewAsync([], "http://two", TimeSpan.FromMinutes(1), default)).Taken);
        Assert.Equal("http://two", await one.CoordinatorOfAsync(M1, default));
        Assert.Equal([M1], (await one.RenewAsync([M1], "http://one", TimeSpan.FromMinutes(1), default)).Lost);
        await Assert.ThrowsAsync<FencedOutException>(async () =>
            await one.AppendAsync(M1, old, 0, [new("PhaseEntered", "{}")], durable: true, default));
    }

    [Theory, OnPostgres]
    public async Task A_migration_left_behind_is_taken_on_by_one_of_many(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        await using var gone = new PostgresStore(connection, "gone");
        // A coordinator that was not known a moment ago is what the others may not see yet.
        for (int round = 0; round < 10; round++)
        {
            var id = new MigrationId($"m-{round}");
            await gone.AcquireAsync(id, default);
            var stores = Enumerable.Range(0, 4).Select(i => new PostgresStore(connection, $"c{round}.{i}")).ToList();
            var tenures = await Task.WhenAll(stores.Select(store => Task.Run(async () =>
                await store.RenewAsync([], null, TimeSpan.FromMinutes(1), default))));

            Assert.Single(tenures, tenure => tenure.Taken.Contains((id, new Term(2))));
            Assert.All(tenures, tenure => Assert.DoesNotContain(tenure.Taken, taken => taken.Term > new Term(2)));
            foreach (var store in stores) await store.DisposeAsync();
        }
    }

    /// <summary>SIGSTOP between two statements of an append: its locks are the server's, and stay.</summary>
    [Theory, OnPostgres]
    public async Task What_a_coordinator_that_stands_still_has_locked_is_taken_on_all_the_same(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        await using (var gone = new PostgresStore(connection, "gone")) await gone.AcquireAsync(M1, default);
        await using var frozen = PostgresDatabase.Open(connection);
        await using var two = new PostgresStore(connection, "two");
        var locked = new TaskCompletionSource();
        var goesOn = new TaskCompletionSource();
        var append = frozen.TransactAsync(durable: true, async db =>
        {
            await db.ExecuteAsync("SELECT term FROM terms WHERE migration = @Migration FOR UPDATE", ("Migration", M1.Value));
            locked.SetResult();
            await goesOn.Task;
            return await db.ExecuteAsync("UPDATE terms SET term = 99");
        }, default);
        await locked.Task;
        Assert.Empty((await two.RenewAsync([], null, TimeSpan.FromMinutes(1), default)).Taken);

        await Eventually.TrueAsync("it is taken on", async () =>
            (await two.RenewAsync([], null, TimeSpan.FromMinutes(1), default)).Taken is [(_, { Value: 2 })]);
        goesOn.SetResult();
        await Assert.ThrowsAsync<IOException>(() => append);
    }

    [Theory, OnPostgres]
    public void Two_coordinators_that_start_at_once_make_one_schema(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        var stores = new PostgresStore[4];
        Parallel.For(0, stores.Length, i => stores[i] = new PostgresStore(connection, "test"));
        Assert.All(stores, Assert.NotNull);
    }

    [Theory, OnPostgres]
    public void A_schema_of_a_later_release_is_refused_by_name(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        _ = new PostgresStore(connection, "test");
        using (var db = new NpgsqlConnection(connection))
        {
            db.Open();
            using var later = new NpgsqlCommand("INSERT INTO migration_cluster.schema_version VALUES (99)", db);
            later.ExecuteNonQuery();
        }

        Assert.Contains("schema 99", Assert.Throws<IOException>(() => new PostgresStore(connection, "test")).Message, StringComparison.Ordinal);
    }

    [Theory, OnPostgres]
    public async Task An_append_whose_commit_was_not_answered_is_there_once(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string direct = engines.Server.CreateDatabase();
        using var proxy = new CommitCuttingProxy(engines.Server.Socket);
        var through = new NpgsqlConnectionStringBuilder(direct) { Host = "127.0.0.1", Port = proxy.Port, SslMode = SslMode.Disable };
        await using var store = new PostgresStore(through.ConnectionString, "test");
        var fence = new Fence(new(2), await store.AcquireAsync(M1, default));
        await store.AppendAsync(M1, fence, 0, [new("Planned", "{}")], durable: true, default);

        proxy.Arm();
        await store.AppendAsync(M1, fence, 1, [new("CancelRequested", "{}"), new("AbortChosen", "{}")], durable: true, default);

        Assert.Equal(1, proxy.Cuts);
        Assert.Equal(["Planned", "CancelRequested", "AbortChosen"], (await store.ReadAsync(M1, default)).Select(entry => entry.Type));
    }

    [Theory, OnPostgres]
    public async Task A_schema_of_an_earlier_release_is_brought_up_to_date_with_what_it_holds(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        await using (var store = new PostgresStore(connection, "test"))
            await store.AppendAsync(M1, new Fence(new(2), await store.AcquireAsync(M1, default)), 0, [new("Planned", "{}")], true, default);
        await using (var db = new NpgsqlConnection(connection))
        {
            await db.OpenAsync();
            await using var back = new NpgsqlCommand(
                "ALTER TABLE migration_cluster.journal DROP COLUMN append; DELETE FROM migration_cluster.schema_version WHERE version > 1", db);
            await back.ExecuteNonQueryAsync();
        }

        await using var later = new PostgresStore(connection, "test");
        await later.AppendAsync(M1, new Fence(new(2), await later.AcquireAsync(M1, default)), 1, [new("PhaseEntered", "{}")], true, default);
        Assert.Equal(["Planned", "PhaseEntered"], (await later.ReadAsync(M1, default)).Select(entry => entry.Type));
    }

    [Theory, OnPostgres]
    public async Task A_coordinator_that_resigns_wakes_the_others_and_again_after_the_server_was_away(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        string connection = engines.Server.CreateDatabase();
        await using var one = new PostgresStore(connection, "one");
        await using var two = new PostgresStore(connection, "two");
        await ResignedAsync(one, two);
        engines.Server.Stop();
        engines.Server.Start();
        await ResignedAsync(one, two);
    }

    /// <summary>The other one listens in its own time: resigning again and again tells it.</summary>
    private static async Task ResignedAsync(PostgresStore one, PostgresStore two)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        for (var told = two.ToldAsync(limit.Token); !told.IsCompletedSuccessfully; await Task.Delay(20, limit.Token))
        {
            try
            {
                await one.ResignAsync(limit.Token);
            }
            catch (IOException)
            {
                // A pooled connection of before the restart.
            }
        }
    }

    [Fact]
    public void A_server_that_is_not_there_and_a_string_that_is_none_are_named()
    {
        using var nowhere = new TempDirectory();
        Assert.Contains(nowhere.Path, Assert.Throws<IOException>(
            () => new PostgresStore($"Host={nowhere.Path};Username=mc", "test")).Message, StringComparison.Ordinal);
        Assert.Contains("connection string", Assert.Throws<IOException>(() => new PostgresStore("Hots=x", "test")).Message, StringComparison.Ordinal);
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
