using System.Data.Common;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Identity;
using Npgsql;

namespace MigrationCluster.Node.Journal;

/// <summary>
/// The fleet's engine: a PostgreSQL database is the journal and the arbiter. The program makes its schema and brings an
/// older one up to date.
/// </summary>
/// <remarks>
/// An append locks the migration's row of <c>terms</c> and checks the term in the same transaction: a coordinator that lost
/// a migration writes nothing more of it, however late its statement arrives; and how many entries the writer knows of: one that lives on
/// past a crash of the server that took its last entries must not write on as if they were there. After a COMMIT whose answer was lost a swap is
/// read again; only if the row then stands as it was meant to is the answer yes. An append is made again under its own id: the lock it takes
/// waits for the transaction whose answer was lost, and if that one got through, nothing is written twice. What is not durable commits with
/// synchronous_commit off: a crash of the server may lose its last moments, never a later commit without an earlier one.
/// Failover keeps every durable commit only with a synchronous standby.
/// </remarks>
public sealed class PostgresStore : IEngine
{
    private const string Swap = """
        UPDATE guests SET owner = @Owner, epoch = @Epoch, decision = @Decision, attempt = @Attempt,
            destination = @Destination, spec = @Spec, placement = @Placement
        WHERE guest = @Guest AND (owner, epoch, decision, spec, placement) =
            (@FromOwner, @FromEpoch, @FromDecision, @FromSpec, @FromPlacement)
            AND attempt IS NOT DISTINCT FROM @FromAttempt AND destination IS NOT DISTINCT FROM @FromDestination
        """;

    private const string IsOrphan = """
        (NOT ended OR migration IN (SELECT attempt FROM guests WHERE decision = 'Undecided'))
        AND migration <> ALL (@Mine) AND (coordinator = @Me OR NOT EXISTS (
            SELECT 1 FROM coordinators WHERE id = terms.coordinator AND expires > clock_timestamp()))
        """;

    private readonly PostgresDatabase _database;
    private readonly string _me;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _listening;
    private bool _disposed;
    private TaskCompletionSource _told = NewSignal();

    /// <param name="coordinator">tells this coordinator from every other, and stays the same when it is restarted.</param>
    /// <exception cref="IOException">the database is not there, refuses, or is of a later release.</exception>
    public PostgresStore(string connection, string coordinator)
    {
        (_database, _me) = (PostgresDatabase.Open(connection), coordinator);
        _listening = _database.ListenAsync(() => Interlocked.Exchange(ref _told, NewSignal()).TrySetResult(), _stop.Token);
    }

    public async ValueTask<GuestRecord?> ReadAsync(GuestName guest, CancellationToken cancellationToken) =>
        (await _database.RunAsync(db => db.QueryAsync(
            $"{GuestTable.Select} WHERE guest = @Guest", GuestTable.Read, ("Guest", guest.Value)), cancellationToken)).SingleOrDefault();

    async ValueTask<IReadOnlyList<GuestRecord>> IGuestRows.ListAsync(CancellationToken cancellationToken) =>
        await _database.RunAsync(db => db.QueryAsync($"{GuestTable.Select} ORDER BY guest COLLATE \"C\"", GuestTable.Read), cancellationToken);

    public async ValueTask<bool> CompareAndSwapAsync(
        GuestRecord? expected, GuestRecord next, CancellationToken cancellationToken)
    {
        try
        {
            return await _database.RunAsync(db => SwapAsync(db, expected, next), cancellationToken) == 1;
        }
        catch (IOException)
        {
            if (await ReadAsync(next.Row.Guest, cancellationToken) == next) return true;
            throw;
        }
    }

    private static Task<int> SwapAsync(NpgsqlConnection db, GuestRecord? expected, GuestRecord next) => expected is null
        ? db.ExecuteAsync($"INSERT {GuestTable.Into} ON CONFLICT DO NOTHING", GuestTable.Values(next))
        : db.ExecuteAsync(Swap, [.. GuestTable.Values(next), .. GuestTable.Values(expected, "From")]);

    public async ValueTask AppendAsync(
        MigrationId migration, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable, CancellationToken cancellationToken)
    {
        var append = Guid.NewGuid();
        try
        {
            await AppendAsync(append, migration, fence, after, entries, durable, cancellationToken);
        }
        catch (IOException error) when (error is not JournalChangedException)
        {
            // Whether it got through is not known: the same append once more.
            await AppendAsync(append, migration, fence, after, entries, durable, cancellationToken);
        }
    }

    private Task<int> AppendAsync(
        Guid append, MigrationId migration, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable,
        CancellationToken cancellationToken) =>
        _database.TransactAsync(durable, async db =>
        {
            var current = (await db.QueryAsync(
                "SELECT term FROM terms WHERE migration = @Migration FOR UPDATE", row => new Term((ulong)row.GetInt64(0)),
                ("Migration", migration.Value))).SingleOrDefault();
            if (fence.Term < current) throw new FencedOutException(migration, fence.Term, current);
            var (here, found) = (await db.QueryAsync(
                "SELECT COALESCE(bool_or(append = @Append), false), COUNT(*)::int FROM journal WHERE migration = @Migration",
                row => (row.GetBoolean(0), row.GetInt32(1)), ("Append", append), ("Migration", migration.Value))).Single();
            if (here) return 0;
            if (found != after) throw new JournalChangedException(migration, after, found);
            return await db.ExecuteAsync(
                """
                INSERT INTO journal (migration, epoch, term, type, body, append)
                SELECT @Migration, @Epoch, @Term, type, body, @Append
                FROM unnest(@Types, @Bodies) WITH ORDINALITY AS entries (type, body, place) ORDER BY place
                """,
                ("Append", append), ("Migration", migration.Value), ("Epoch", (long)fence.Epoch.Value), ("Term", (long)fence.Term.Value),
                ("Types", entries.Select(entry => entry.Type).ToArray()), ("Bodies", entries.Select(entry => entry.Body).ToArray()));
        }, cancellationToken);

    public async ValueTask<IReadOnlyList<JournalEntry>> ReadAsync(MigrationId migration, CancellationToken cancellationToken) =>
        await _database.RunAsync(db => db.QueryAsync(
            "SELECT type, body FROM journal WHERE migration = @Migration ORDER BY number",
            row => new JournalEntry(row.GetString(0), row.GetString(1)), ("Migration", migration.Value)), cancellationToken);

    async ValueTask<IReadOnlyList<MigrationId>> IMigrationJournal.ListAsync(CancellationToken cancellationToken) =>
        await _database.RunAsync(db => db.QueryAsync(
            "SELECT migration FROM journal GROUP BY migration ORDER BY MIN(number)", ReadId), cancellationToken);

    /// <remarks>An answer that was lost costs a term and nothing else: the next try takes a higher one.</remarks>
    public async ValueTask<Term> AcquireAsync(MigrationId migration, CancellationToken cancellationToken) =>
        (await _database.RunAsync(db => db.QueryAsync(
            "INSERT INTO terms (migration, term, coordinator) VALUES (@Migration, 1, @Me) " +
            "ON CONFLICT (migration) DO UPDATE SET term = terms.term + 1, coordinator = @Me RETURNING term",
            row => new Term((ulong)row.GetInt64(0)), ("Migration", migration.Value), ("Me", _me)), cancellationToken)).Single();

    public async ValueTask<Tenure> RenewAsync(
        IReadOnlyCollection<MigrationId> mine, string? address, TimeSpan lease, CancellationToken cancellationToken) =>
        await _database.TransactAsync(durable: true, async db =>
        {
            string[] ids = [.. mine.Select(id => id.Value)];
            await db.ExecuteAsync(
                "INSERT INTO coordinators (id, address, expires) VALUES (@Me, @Address, clock_timestamp() + @Lease) " +
                "ON CONFLICT (id) DO UPDATE SET address = excluded.address, expires = excluded.expires",
                ("Me", _me), ("Address", address), ("Lease", lease));
            var taken = await TakeOrphansAsync(db, ids);
            var lost = ids.Length == 0 ? [] : await db.QueryAsync(
                "SELECT migration FROM terms WHERE migration = ANY (@Mine) AND coordinator <> @Me", ReadId, ("Mine", ids), ("Me", _me));
            return new Tenure(taken, lost);
        }, cancellationToken);

    /// <summary>Looks again at what it has locked: the look that found it may be older than another coordinator's commit that took it on, and that
    /// look does not see that the other lives.</summary>
    private async Task<List<(MigrationId, Term)>> TakeOrphansAsync(NpgsqlConnection db, string[] mine)
    {
        var locked = await db.QueryAsync(
            $"SELECT migration FROM terms WHERE {IsOrphan} FOR UPDATE SKIP LOCKED", row => row.GetString(0), ("Me", _me), ("Mine", mine));
        return locked.Count == 0 ? [] : await db.QueryAsync(
            $"UPDATE terms SET term = term + 1, coordinator = @Me WHERE migration = ANY (@Locked) AND {IsOrphan} RETURNING migration, term",
            row => (new MigrationId(row.GetString(0)), new Term((ulong)row.GetInt64(1))), ("Me", _me), ("Mine", mine), ("Locked", locked.ToArray()));
    }

    public async ValueTask ResignAsync(CancellationToken cancellationToken) => await _database.RunAsync(
        db => db.ExecuteAsync(
            $"UPDATE coordinators SET expires = clock_timestamp() WHERE id = @Me; NOTIFY {PostgresDatabase.Channel}", ("Me", _me)), cancellationToken);

    public Task ToldAsync(CancellationToken cancellationToken) => Volatile.Read(ref _told).Task.WaitAsync(cancellationToken);

    public async ValueTask<bool> EndAsync(MigrationId migration, int entries, CancellationToken cancellationToken) => await _database.RunAsync(
        db => db.ExecuteAsync(
            "UPDATE terms SET ended = true WHERE migration = @Migration AND @Entries = (SELECT COUNT(*) FROM journal WHERE migration = @Migration)",
            ("Migration", migration.Value), ("Entries", entries)), cancellationToken) == 1;

    public async ValueTask<string?> CoordinatorOfAsync(MigrationId migration, CancellationToken cancellationToken) =>
        (await _database.RunAsync(db => db.QueryAsync(
            "SELECT address FROM terms JOIN coordinators ON id = coordinator WHERE migration = @Migration AND expires > clock_timestamp()",
            row => row.TextOrNull(0), ("Migration", migration.Value)), cancellationToken)).SingleOrDefault();

    public async ValueTask<Member?> AdmitAsync(Member member, CancellationToken cancellationToken)
    {
        var admitted = await _database.RunAsync(async db => (await db.QueryAsync(
            """
            WITH admitted AS (
                INSERT INTO members (name, node_id, address, wire_version) VALUES (@Name, @NodeId, @Address, @WireVersion)
                ON CONFLICT (name) DO UPDATE SET address = @Address, wire_version = @WireVersion WHERE members.node_id = @NodeId
                RETURNING name, node_id, address, wire_version)
            SELECT * FROM admitted
            UNION ALL
            SELECT name, node_id, address, wire_version FROM members WHERE name = @Name AND node_id <> @NodeId
            """,
            ReadMember, ("Name", member.Name.Value), ("NodeId", member.NodeId), ("Address", member.Address),
            ("WireVersion", member.WireVersion))).Single(), cancellationToken);
        return admitted.NodeId == member.NodeId ? null : admitted;
    }

    async ValueTask<IReadOnlyList<Member>> IMembership.ListAsync(CancellationToken cancellationToken) =>
        await _database.RunAsync(db => db.QueryAsync(
            "SELECT name, node_id, address, wire_version FROM members ORDER BY name COLLATE \"C\"", ReadMember), cancellationToken);

    public async ValueTask<long> ReadAsync(HostName agent, CancellationToken cancellationToken) =>
        (await _database.RunAsync(db => db.QueryAsync(
            "SELECT number FROM cursors WHERE coordinator = @Me AND agent = @Agent", row => row.GetInt64(0),
            ("Me", _me), ("Agent", agent.Value)), cancellationToken)).SingleOrDefault();

    public async ValueTask MoveAsync(HostName agent, long number, CancellationToken cancellationToken) =>
        await _database.TransactAsync(durable: false, db => db.ExecuteAsync(
            "INSERT INTO cursors (coordinator, agent, number) VALUES (@Me, @Agent, @Number) " +
            "ON CONFLICT (coordinator, agent) DO UPDATE SET number = @Number", ("Me", _me), ("Agent", agent.Value), ("Number", number)),
            cancellationToken);

    /// <remarks>Whoever holds it under several names disposes of it as often.</remarks>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true)) return;
        _stop.Cancel();
        await _listening;
        _stop.Dispose();
        await _database.DisposeAsync();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static Member ReadMember(DbDataReader row) => new(new HostName(row.GetString(0)), row.GetString(1), row.GetString(2), row.GetInt32(3));

    private static MigrationId ReadId(DbDataReader row) => new(row.GetString(0));
}
