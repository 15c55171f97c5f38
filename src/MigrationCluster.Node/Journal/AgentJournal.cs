using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Journal;

/// <summary>
/// What happened on this host in every migration: agent.db, one row per event. It is both the log that
/// the source and destination machines recover from and the feed that a coordinator reads by number.
/// </summary>
/// <remarks>
/// fsynced: an append that holds a <see cref="AgentEvent.Durable"/> event, before anybody hears of it. Everything else
/// survives the daemon's death, not a power cut; after one the guests of this host are gone too.
/// A coordinator may have read numbers that a power cut took back, or the loss of the whole file: each opening skips <see cref="Skip"/> numbers, and
/// goes on from the milliseconds since 1970 at least, so none is reused.
/// </remarks>
public sealed class AgentJournal : IAgentJournal, IDisposable
{
    private const int Skip = 10_000;
    private const string Schema = """
        CREATE TABLE events (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            migration TEXT NOT NULL,
            side INTEGER NOT NULL,
            body TEXT NOT NULL);
        CREATE INDEX events_by_migration ON events (migration, side, number);
        """;

    private readonly SqliteFile _file;
    private TaskCompletionSource _appended = NewSignal();

    public AgentJournal(string path, TimeProvider time)
    {
        _file = SqliteFile.Open(path, Schema);
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        _file.Write(durable: true, db => db.Execute(
            """
            UPDATE sqlite_sequence SET seq = max(seq + @Skip, @Now) WHERE name = 'events';
            INSERT INTO sqlite_sequence (name, seq)
                SELECT 'events', @Now WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events');
            """, ("Skip", Skip), ("Now", now)));
    }

    public Task AppendedAsync(CancellationToken cancellationToken) =>
        Volatile.Read(ref _appended).Task.WaitAsync(cancellationToken);

    public void Append(MigrationId migration, Side side, IReadOnlyList<AgentEvent> events)
    {
        _file.Write(events.Any(e => e.Durable), db => events.Sum(e => db.Execute(
            "INSERT INTO events (migration, side, body) VALUES (@Migration, @Side, @Body)",
            ("Migration", migration.Value), ("Side", (int)side), ("Body", WireJson.Write(e)))));
        Interlocked.Exchange(ref _appended, NewSignal()).SetResult();
    }

    public IReadOnlyList<NumberedAgentEvent> ReadAfter(long number, int max) =>
        Select("number > @Number ORDER BY number LIMIT @Max", ("Number", number), ("Max", max));

    public IReadOnlyList<NumberedAgentEvent> ReadMigration(MigrationId migration, Side side) =>
        Select("migration = @Migration AND side = @Side ORDER BY number", ("Migration", migration.Value), ("Side", (int)side));

    public IReadOnlyList<(MigrationId Migration, Side Side)> ListMigrations() =>
        _file.Read(db => db.Query(
            "SELECT migration, side FROM events GROUP BY migration, side ORDER BY MIN(number)",
            row => (new MigrationId(row.GetString(0)), (Side)row.GetInt32(1))));

    public void Dispose() => _file.Dispose();

    private NumberedAgentEvent[] Select(string where, params (string Name, object? Value)[] values) =>
        [.. _file.Read(db => db.Query(
                $"SELECT number, side, body FROM events WHERE {where}", row => (row.GetInt64(0), (Side)row.GetInt32(1), row.GetString(2)), values))
            .Select(row => new NumberedAgentEvent(row.Item1, row.Item2, WireJson.Read<AgentEvent>(row.Item3)))];

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
