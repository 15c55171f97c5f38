using System.Data.Common;
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
        CREATE TABLE {GuestTable.Schema};
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
        new(_file.Read(db => ReadGuest(db, guest)));

    ValueTask<IReadOnlyList<GuestRecord>> IGuestRows.ListAsync(CancellationToken cancellationToken) =>
        new(_file.Read(db => db.Query($"{GuestTable.Select} ORDER BY guest", GuestTable.Read)));

    public ValueTask<bool> CompareAndSwapAsync(
        GuestRecord? expected, GuestRecord next, CancellationToken cancellationToken) =>
        new(_file.Write(durable: true, db =>
        {
            if (ReadGuest(db, next.Row.Guest) != expected) return false;
            db.Execute($"INSERT OR REPLACE {GuestTable.Into}", GuestTable.Values(next));
            return true;
        }));

    public ValueTask AppendAsync(
        MigrationId migration, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable,
        CancellationToken cancellationToken)
    {
        _file.Write(durable, db =>
        {
            var current = ReadTerm(db, migration);
            if (fence.Term < current) throw new FencedOutException(migration, fence.Term, current);
            int found = db.Query(
                "SELECT COUNT(*) FROM journal WHERE migration = @Migration", row => row.GetInt32(0), ("Migration", migration.Value)).Single();
            if (found != after) throw new JournalChangedException(migration, after, found);
            return entries.Sum(entry => db.Execute(
                "INSERT INTO journal (migration, epoch, term, type, body) VALUES (@Migration, @Epoch, @Term, @Type, @Body)",
                ("Migration", migration.Value), ("Epoch", (long)fence.Epoch.Value), ("Term", (long)fence.Term.Value),
                ("Type", entry.Type), ("Body", entry.Body)));
        });
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<JournalEntry>> ReadAsync(MigrationId migration, CancellationToken cancellationToken) =>
        new(_file.Read(db => db.Query(
            "SELECT type, body FROM journal WHERE migration = @Migration ORDER BY number",
            row => new JournalEntry(row.GetString(0), row.GetString(1)), ("Migration", migration.Value))));

    ValueTask<IReadOnlyList<MigrationId>> IMigrationJournal.ListAsync(CancellationToken cancellationToken) =>
        new(_file.Read(db => db.Query("SELECT migration FROM journal GROUP BY migration ORDER BY MIN(number)", ReadId)));

    public ValueTask<Term> AcquireAsync(MigrationId migration, CancellationToken cancellationToken) =>
        new(_file.Write(durable: true, db => RaiseTerm(db, migration)));

    /// <remarks>There is one coordinator: what has not ended and is not in its hands was in those of its earlier run.</remarks>
    public ValueTask<Tenure> RenewAsync(
        IReadOnlyCollection<MigrationId> mine, string? address, TimeSpan lease, CancellationToken cancellationToken)
    {
        var orphans = _file.Read(db => db.Query(
            "SELECT migration FROM terms WHERE ended = 0 OR migration IN (SELECT attempt FROM guests WHERE decision = 'Undecided') ORDER BY rowid", ReadId))
            .Except(mine).ToList();
        return new(new Tenure(
            orphans.Count == 0
                ? []
                : _file.Write(durable: true, db => orphans.Select(id => (id, RaiseTerm(db, id))).ToList()),
            []));
    }

    public ValueTask ResignAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <remarks>There is no other coordinator.</remarks>
    public Task ToldAsync(CancellationToken cancellationToken) => Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);

    public ValueTask<bool> EndAsync(MigrationId migration, int entries, CancellationToken cancellationToken) => new(_file.Write(durable: false, db => db.Execute(
        "UPDATE terms SET ended = 1 WHERE migration = @Migration AND @Entries = (SELECT COUNT(*) FROM journal WHERE migration = @Migration)",
        ("Migration", migration.Value), ("Entries", entries))) == 1);

    public ValueTask<string?> CoordinatorOfAsync(MigrationId migration, CancellationToken cancellationToken) => new((string?)null);

    public ValueTask<Member?> AdmitAsync(Member member, CancellationToken cancellationToken) =>
        new(_file.Write(durable: true, db =>
        {
            var known = Members(db).FirstOrDefault(other => other.Name == member.Name);
            if (known is not null && known.NodeId != member.NodeId) return known;
            if (known != member)
                db.Execute(
                    "INSERT OR REPLACE INTO members (name, node_id, address, wire_version) " +
                    "VALUES (@Name, @NodeId, @Address, @WireVersion)",
                    ("Name", member.Name.Value), ("NodeId", member.NodeId), ("Address", member.Address), ("WireVersion", member.WireVersion));
            return null;
        }));

    ValueTask<IReadOnlyList<Member>> IMembership.ListAsync(CancellationToken cancellationToken) =>
        new(_file.Read(Members));

    public ValueTask<long> ReadAsync(HostName agent, CancellationToken cancellationToken) =>
        new(_file.Read(db => db.Query(
            "SELECT COALESCE(MAX(number), 0) FROM cursors WHERE agent = @Agent", row => row.GetInt64(0), ("Agent", agent.Value)).Single()));

    public ValueTask MoveAsync(HostName agent, long number, CancellationToken cancellationToken)
    {
        _file.Write(durable: false, db => db.Execute(
            "INSERT OR REPLACE INTO cursors (agent, number) VALUES (@Agent, @Number)", ("Agent", agent.Value), ("Number", number)));
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _file.Dispose();
        return ValueTask.CompletedTask;
    }

    private static GuestRecord? ReadGuest(SqliteConnection db, GuestName guest) =>
        db.Query($"{GuestTable.Select} WHERE guest = @Guest", GuestTable.Read, ("Guest", guest.Value)).SingleOrDefault();

    private static Term RaiseTerm(SqliteConnection db, MigrationId migration)
    {
        db.Execute(
            "INSERT INTO terms (migration, term) VALUES (@Migration, 1) ON CONFLICT (migration) DO UPDATE SET term = term + 1",
            ("Migration", migration.Value));
        return ReadTerm(db, migration);
    }

    private static Term ReadTerm(SqliteConnection db, MigrationId migration) => db.Query(
        "SELECT COALESCE(MAX(term), 0) FROM terms WHERE migration = @Migration", row => new Term((ulong)row.GetInt64(0)),
        ("Migration", migration.Value)).Single();

    private static IReadOnlyList<Member> Members(SqliteConnection db) => db.Query(
        "SELECT name, node_id, address, wire_version FROM members ORDER BY name",
        row => new Member(new HostName(row.GetString(0)), row.GetString(1), row.GetString(2), row.GetInt32(3)));

    private static MigrationId ReadId(DbDataReader row) => new(row.GetString(0));
}
