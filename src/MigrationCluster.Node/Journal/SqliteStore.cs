using Dapper;
using Microsoft.Data.Sqlite;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Journal;

/// <summary>
/// The embedded engine: coordinator.db of the one coordinator node; its disk is the arbiter.
/// </summary>
/// <remarks>
/// fsynced: every swap of a guest's row, every new term, every new or changed member, and journal entries appended as durable.
/// Not fsynced: other journal entries and feed cursors. A cursor is written after the entries its events
/// caused, in the same WAL, so it never survives without them.
/// </remarks>
public sealed class SqliteStore(string path)
    : IEngine
{
    private const string Schema = $"""
        CREATE TABLE {GuestColumns.Schema};
        CREATE TABLE journal (
            number INTEGER PRIMARY KEY AUTOINCREMENT, migration TEXT NOT NULL, epoch INTEGER NOT NULL,
            term INTEGER NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL);
        CREATE INDEX journal_by_migration ON journal (migration, number);
        CREATE TABLE terms (migration TEXT PRIMARY KEY, term INTEGER NOT NULL);
        CREATE TABLE members (
            name TEXT PRIMARY KEY, node_id TEXT NOT NULL, address TEXT NOT NULL, wire_version INTEGER NOT NULL);
        CREATE TABLE cursors (agent TEXT PRIMARY KEY, number INTEGER NOT NULL);
        """;

    /// <summary>Which migrations have ended: nobody takes those on again.</summary>
    private const string Endings = "ALTER TABLE terms ADD COLUMN ended INTEGER NOT NULL DEFAULT 0";

    private readonly SqliteFile _file = SqliteFile.Open(path, Schema, Endings);

    public ValueTask<GuestRecord?> ReadAsync(GuestName guest, CancellationToken cancellationToken) =>
        new(_file.Read(db => ReadGuest(db, null, guest)));

    ValueTask<IReadOnlyList<GuestRecord>> IGuestRows.ListAsync(CancellationToken cancellationToken) =>
        new([.. _file.Read(db => db.Query<GuestColumns>("SELECT * FROM guests ORDER BY guest")).Select(row => row.ToRecord())]);

    public ValueTask<bool> CompareAndSwapAsync(
        GuestRecord? expected, GuestRecord next, CancellationToken cancellationToken) =>
        new(_file.Write(durable: true, (db, tx) =>
        {
            if (ReadGuest(db, tx, next.Row.Guest) != expected) return false;
            db.Execute(
                "INSERT OR REPLACE INTO guests (guest, owner, epoch, decision, attempt, destination, spec, placement) " +
                "VALUES (@Guest, @Owner, @Epoch, @Decision, @Attempt, @Destination, @Spec, @Placement)",
                GuestColumns.Of(next), tx);
            return true;
        }));

    public ValueTask AppendAsync(
        MigrationId migration, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable,
        CancellationToken cancellationToken)
    {
        _file.Write(durable, (db, tx) =>
        {
            var current = ReadTerm(db, tx, migration);
            if (fence.Term < current) throw new FencedOutException(migration, fence.Term, current);
            int found = db.ExecuteScalar<int>("SELECT COUNT(*) FROM journal WHERE migration = @Value", new { migration.Value }, tx);
            if (found != after) throw new JournalChangedException(migration, after, found);
            return db.Execute(
                "INSERT INTO journal (migration, epoch, term, type, body) VALUES (@Migration, @Epoch, @Term, @Type, @Body)",
                entries.Select(entry => new
                {
                    Migration = migration.Value,
                    Epoch = (long)fence.Epoch.Value,
                    Term = (long)fence.Term.Value,
                    entry.Type,
                    entry.Body,
                }),
                tx);
        });
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<JournalEntry>> ReadAsync(MigrationId migration, CancellationToken cancellationToken) =>
        new([.. _file.Read(db => db.Query<JournalEntry>(
            "SELECT type, body FROM journal WHERE migration = @Value ORDER BY number", new { migration.Value }))]);

    ValueTask<IReadOnlyList<MigrationId>> IMigrationJournal.ListAsync(CancellationToken cancellationToken) =>
        new([.. _file.Read(db => db.Query<string>("SELECT migration FROM journal GROUP BY migration ORDER BY MIN(number)"))
            .Select(id => new MigrationId(id))]);

    public ValueTask<Term> AcquireAsync(MigrationId migration, CancellationToken cancellationToken) =>
        new(_file.Write(durable: true, (db, tx) => RaiseTerm(db, tx, migration)));

    /// <remarks>There is one coordinator: what has not ended and is not in its hands was in those of its earlier run.</remarks>
    public ValueTask<Tenure> RenewAsync(
        IReadOnlyCollection<MigrationId> mine, string? address, TimeSpan lease, CancellationToken cancellationToken)
    {
        var orphans = _file.Read(db => db.Query<string>("SELECT migration FROM terms WHERE ended = 0 ORDER BY rowid"))
            .Select(id => new MigrationId(id)).Except(mine).ToList();
        return new(new Tenure(
            orphans.Count == 0
                ? []
                : _file.Write(durable: true, (db, tx) => orphans.Select(id => (id, RaiseTerm(db, tx, id))).ToList()),
            []));
    }

    public ValueTask ResignAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <remarks>There is no other coordinator.</remarks>
    public Task ToldAsync(CancellationToken cancellationToken) => Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);

    public ValueTask EndAsync(MigrationId migration, CancellationToken cancellationToken)
    {
        _file.Write(durable: false, (db, tx) =>
            db.Execute("UPDATE terms SET ended = 1 WHERE migration = @Value", new { migration.Value }, tx));
        return ValueTask.CompletedTask;
    }

    public ValueTask<string?> CoordinatorOfAsync(MigrationId migration, CancellationToken cancellationToken) => new((string?)null);

    public ValueTask<Member?> AdmitAsync(Member member, CancellationToken cancellationToken) =>
        new(_file.Write(durable: true, (db, tx) =>
        {
            var known = Members(db, tx).FirstOrDefault(other => other.Name == member.Name);
            if (known is not null && known.NodeId != member.NodeId) return known;
            if (known != member)
                db.Execute(
                    "INSERT OR REPLACE INTO members (name, node_id, address, wire_version) " +
                    "VALUES (@Name, @NodeId, @Address, @WireVersion)",
                    new { Name = member.Name.Value, member.NodeId, member.Address, member.WireVersion }, tx);
            return null;
        }));

    ValueTask<IReadOnlyList<Member>> IMembership.ListAsync(CancellationToken cancellationToken) =>
        new(_file.Read(db => Members(db, null)));

    public ValueTask<long> ReadAsync(HostName agent, CancellationToken cancellationToken) =>
        new(_file.Read(db => db.ExecuteScalar<long>(
            "SELECT COALESCE(MAX(number), 0) FROM cursors WHERE agent = @Value", new { agent.Value })));

    public ValueTask MoveAsync(HostName agent, long number, CancellationToken cancellationToken)
    {
        _file.Write(durable: false, (db, tx) => db.Execute(
            "INSERT OR REPLACE INTO cursors (agent, number) VALUES (@Value, @number)", new { agent.Value, number }, tx));
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _file.Dispose();
        return ValueTask.CompletedTask;
    }

    private static GuestRecord? ReadGuest(SqliteConnection db, SqliteTransaction? tx, GuestName guest) =>
        db.QuerySingleOrDefault<GuestColumns>("SELECT * FROM guests WHERE guest = @Value", new { guest.Value }, tx) is { } row
            ? row.ToRecord()
            : null;

    private static Term RaiseTerm(SqliteConnection db, SqliteTransaction tx, MigrationId migration)
    {
        db.Execute(
            "INSERT INTO terms (migration, term) VALUES (@Value, 1) ON CONFLICT (migration) DO UPDATE SET term = term + 1",
            new { migration.Value }, tx);
        return ReadTerm(db, tx, migration);
    }

    private static Term ReadTerm(SqliteConnection db, SqliteTransaction tx, MigrationId migration) =>
        new((ulong)db.ExecuteScalar<long>(
            "SELECT COALESCE(MAX(term), 0) FROM terms WHERE migration = @Value", new { migration.Value }, tx));

    private static Member[] Members(SqliteConnection db, SqliteTransaction? tx) =>
        [.. db.Query<(string Name, string NodeId, string Address, long WireVersion)>(
                "SELECT name, node_id, address, wire_version FROM members ORDER BY name", transaction: tx)
            .Select(row => new Member(new HostName(row.Name), row.NodeId, row.Address, (int)row.WireVersion))];
}
