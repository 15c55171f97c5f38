using Microsoft.Data.Sqlite;

namespace MigrationCluster.Node.Journal;

/// <summary>
/// One SQLite file in WAL mode behind one connection and one lock; one process uses it (<see cref="Hosting.DataDirectory"/>).
/// </summary>
/// <remarks>
/// A transaction is *durable* or not. Durable: the WAL is fsynced before the commit returns (synchronous=FULL), which also carries
/// every earlier commit to disk, as they all lie before it in the same WAL. Not durable: the commit is in the kernel's
/// page cache (synchronous=NORMAL), so it survives `kill -9` of the daemon but not a power cut. After a power cut
/// the file holds a prefix of the commits, never a later one without an earlier one.
/// SQLite has no asynchronous IO; a commit here takes well under a millisecond, plus the disk's fsync when durable.
/// </remarks>
public sealed class SqliteFile : IDisposable
{
    private readonly Lock _lock = new();
    private readonly SqliteConnection _connection;
    private bool _full = true;

    static SqliteFile() => SQLitePCL.Batteries_V2.Init();

    private SqliteFile(string path, SqliteConnection connection) => (Path, _connection) = (path, connection);

    public string Path { get; }

    /// <param name="steps">step i makes version i + 1 of version i; what an older file lacks is run.</param>
    /// <exception cref="IOException">the file is no database of ours, or of a later release.</exception>
    public static SqliteFile Open(string path, params IReadOnlyList<string> steps)
    {
        var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ConnectionString);
        try
        {
            connection.Open();
            connection.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;");
            var file = new SqliteFile(path, connection);
            file.Create(steps);
            return file;
        }
        catch (SqliteException error)
        {
            connection.Dispose();
            throw new IOException($"cannot use {path}: {error.Message}", error);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Runs one transaction; rolls back when <paramref name="body"/> throws.</summary>
    /// <exception cref="IOException">the file could not be written; whether the transaction took place is unknown.</exception>
    public T Write<T>(bool durable, Func<SqliteConnection, T> body) => Locked(db =>
    {
        if (durable != _full)
        {
            db.Execute(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
            _full = durable;
        }

        using var transaction = db.BeginTransaction();
        try
        {
            var result = body(db);
            transaction.Commit();
            return result;
        }
        catch (SqliteException) when (SQLitePCL.raw.sqlite3_get_autocommit(db.Handle) != 0)
        {
            // A commit that finds the disk full is rolled back by SQLite itself, and the provider does not notice: its own rollback fails then, and
            // with it every later transaction of this connection. One that has begun can be rolled back.
            SQLitePCL.raw.sqlite3_exec(db.Handle, "BEGIN");
            throw;
        }
    });

    /// <exception cref="IOException">the file could not be read.</exception>
    public T Read<T>(Func<SqliteConnection, T> body) => Locked(body);

    public void Dispose()
    {
        lock (_lock) _connection.Dispose();
    }

    private T Locked<T>(Func<SqliteConnection, T> body)
    {
        try
        {
            lock (_lock) return body(_connection);
        }
        catch (SqliteException error)
        {
            throw new IOException($"{Path}: {error.Message}", error);
        }
    }

    private void Create(IReadOnlyList<string> steps)
    {
        int version = steps.Count;
        int found = _connection.Query("PRAGMA user_version", row => row.GetInt32(0)).Single();
        if (found > version)
            throw new IOException($"{Path} was written by a later release (format {found}, here {version}): upgrade mc-node");
        if (found == version) return;
        Write(durable: true, db =>
        {
            foreach (string step in steps.Skip(found)) db.Execute(step);
            return db.Execute($"PRAGMA user_version = {version}");
        });
    }
}
