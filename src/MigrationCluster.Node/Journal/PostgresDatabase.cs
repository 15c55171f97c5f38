using MigrationCluster.Node.Actors;
using Npgsql;

namespace MigrationCluster.Node.Journal;

/// <summary>One PostgreSQL database with our schema: connections, transactions, and what their failures mean.</summary>
/// <remarks>Everything that fails on the way to the server or in it is an <see cref="IOException"/>; whether what was asked took
/// place is then unknown. Broken pooled connections are thrown away, so the next call reaches a server that came back.</remarks>
internal sealed class PostgresDatabase : IAsyncDisposable
{
    /// <summary>Where a coordinator tells the others that a round would find something.</summary>
    public const string Channel = "migration_cluster";

    /// <summary>How long a session may leave a transaction waiting, as the server counts it: what a coordinator that stands still has locked would
    /// keep every other from taking its migrations on. A lease is no longer either.</summary>
    private const string IdleLimit = "-c idle_in_transaction_session_timeout=2s";

    private static readonly TimeSpan BetweenListens = TimeSpan.FromSeconds(1);

    /// <summary>Any number, the same for every coordinator: who holds it makes the schema.</summary>
    private const long SchemaLock = 0x6d63_7363;

    private static readonly string[] Steps =
    [
        $"""
        CREATE TABLE {GuestTable.Schema};
        CREATE TABLE journal (
            number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, migration TEXT NOT NULL, epoch BIGINT NOT NULL,
            term BIGINT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL);
        CREATE INDEX journal_by_migration ON journal (migration, number);
        CREATE TABLE coordinators (id TEXT PRIMARY KEY, address TEXT, expires TIMESTAMPTZ NOT NULL);
        CREATE TABLE terms (
            migration TEXT PRIMARY KEY, term BIGINT NOT NULL, coordinator TEXT NOT NULL, ended BOOLEAN NOT NULL DEFAULT false);
        CREATE TABLE members (
            name TEXT PRIMARY KEY, node_id TEXT NOT NULL, address TEXT NOT NULL, wire_version INTEGER NOT NULL);
        CREATE TABLE cursors (coordinator TEXT, agent TEXT, number BIGINT NOT NULL, PRIMARY KEY (coordinator, agent));
        """,
        // Which append an entry came with: one that is repeated because its COMMIT was not answered finds itself.
        "ALTER TABLE journal ADD COLUMN append UUID; CREATE INDEX journal_by_append ON journal (append)",
    ];

    private static int SchemaVersion => Steps.Length;

    private readonly NpgsqlDataSource _source;
    private readonly string _where;

    private PostgresDatabase(NpgsqlDataSource source, string where) => (_source, _where) = (source, where);

    /// <param name="connection">an Npgsql connection string; a password may also come from PGPASSWORD or a passfile.</param>
    /// <exception cref="IOException">not reachable, refused, no connection string, or made by a later release.</exception>
    public static PostgresDatabase Open(string connection)
    {
        NpgsqlConnectionStringBuilder settings;
        try
        {
            settings = new NpgsqlConnectionStringBuilder(connection) { SearchPath = "migration_cluster", ApplicationName = "mc-node" };
        }
        catch (Exception error) when (error is ArgumentException or FormatException)
        {
            throw new IOException(
                $"the connection string is none: {error.Message}; write it like 'Host=db.example;Database=fleet;Username=mc'", error);
        }

        settings.Options = $"{settings.Options} {IdleLimit}".TrimStart();
        if (!settings.ContainsKey("Timeout")) settings.Timeout = 5;
        if (!settings.ContainsKey("Command Timeout")) settings.CommandTimeout = 10;
        var database = new PostgresDatabase(NpgsqlDataSource.Create(settings), $"PostgreSQL at {settings.Host}");
        try
        {
            database.Create();
            return database;
        }
        catch (Exception error)
        {
            database._source.Dispose();
            if (error is NpgsqlException) throw new IOException($"{database._where}: {error.Message}", error);
            throw;
        }
    }

    /// <summary>One statement, committed durably by itself.</summary>
    public async Task<T> RunAsync<T>(Func<NpgsqlConnection, Task<T>> body, CancellationToken cancellationToken)
    {
        try
        {
            await using var db = await _source.OpenConnectionAsync(cancellationToken);
            return await body(db);
        }
        catch (Exception error) when (IsLost(error))
        {
            throw Lost(error);
        }
    }

    /// <summary>One transaction, rolled back when <paramref name="body"/> throws.</summary>
    public Task<T> TransactAsync<T>(
        bool durable, Func<NpgsqlConnection, Task<T>> body, CancellationToken cancellationToken) =>
        RunAsync(async db =>
        {
            await using var tx = await db.BeginTransactionAsync(cancellationToken);
            if (!durable) await db.ExecuteAsync("SET LOCAL synchronous_commit = off");
            var result = await body(db);
            await tx.CommitAsync(cancellationToken);
            return result;
        }, cancellationToken);

    /// <summary>Calls <paramref name="heard"/> whenever somebody notifies, on a connection of its own that is opened again when it breaks; after
    /// that too, since what was said meanwhile is lost.</summary>
    public async Task ListenAsync(Action heard, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await using var db = await _source.OpenConnectionAsync(cancellationToken);
                db.Notification += (_, _) => heard();
                await db.ExecuteAsync($"LISTEN {Channel}");
                heard();
                while (true) await db.WaitAsync(cancellationToken);
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                return; // with several hosts a connection that is given up says that none of them was suitable
            }
            catch (Exception error) when (IsLost(error))
            {
                // The rounds find out, and say so; until it is back they look without being told.
            }

            await Task.Delay(BetweenListens, cancellationToken).ConfigureAwait(Waiting.Quietly);
        }
    }

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    /// <summary>A server that goes away while a command begins was seen as a NullReferenceException out of the client itself.</summary>
    private static bool IsLost(Exception error) =>
        error is NpgsqlException || (error is not OperationCanceledException && error.Source == nameof(Npgsql));

    private IOException Lost(Exception error)
    {
        if (error is not PostgresException { IsTransient: false }) _source.Clear();
        return new IOException($"{_where}: {error.Message}", error);
    }

    private void Create()
    {
        using var db = _source.OpenConnection();
        using var tx = db.BeginTransaction();
        db.Execute("SELECT pg_advisory_xact_lock(@SchemaLock)", ("SchemaLock", SchemaLock));
        db.Execute("CREATE SCHEMA IF NOT EXISTS migration_cluster; CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
        int found = db.Query("SELECT COALESCE(max(version), 0) FROM schema_version", row => row.GetInt32(0)).Single();
        if (found > SchemaVersion)
            throw new IOException($"{_where} was made by a later release (schema {found}, here {SchemaVersion}): upgrade mc-node");
        for (int version = found + 1; version <= SchemaVersion; version++)
        {
            db.Execute(Steps[version - 1]);
            db.Execute("INSERT INTO schema_version (version) VALUES (@Version)", ("Version", version));
        }

        tx.Commit();
    }
}
