using System.Reflection;
using Dapper;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using Xunit.Sdk;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>The engines a contract runs against; a fresh store for every test.</summary>
public sealed class Engines : IDisposable
{
    public const string Sqlite = "sqlite";
    public const string Postgres = "postgres";

    private readonly TempDirectory _directory = new();
    private PostgresServer? _server;
    private int _files;

    public PostgresServer Server => _server ??= new PostgresServer();

    /// <returns>opens one store, the first time an empty one.</returns>
    public Func<IEngine> New(string engine)
    {
        if (engine == Sqlite)
        {
            string path = _directory.File($"coordinator{_files++}.db");
            return () => new SqliteStore(path);
        }

        string connection = Server.CreateDatabase();
        return () => new PostgresStore(connection, "test");
    }

    /// <summary>A migration's journal as it stands in a PostgreSQL database.</summary>
    public static async Task<IReadOnlyList<(string Type, long Term)>> ReadJournalAsync(string connection, string migration)
    {
        await using var db = new Npgsql.NpgsqlConnection(connection);
        return [.. await db.QueryAsync<(string, long)>(
            "SELECT type, term FROM migration_cluster.journal WHERE migration = @migration ORDER BY number", new { migration })];
    }

    /// <summary>A guest's row as it stands in a PostgreSQL database.</summary>
    public static async Task<(string Owner, long Epoch, string Decision, string? Attempt)> ReadRowAsync(string connection, string guest)
    {
        await using var db = new Npgsql.NpgsqlConnection(connection);
        return await db.QuerySingleAsync<(string, long, string, string?)>(
            "SELECT owner, epoch, decision, attempt FROM migration_cluster.guests WHERE guest = @guest", new { guest });
    }

    public void Dispose()
    {
        _server?.Dispose();
        _directory.Dispose();
    }
}

/// <summary>Runs a theory on the embedded engine.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OnSqliteAttribute : DataAttribute
{
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[Engines.Sqlite]];
}

/// <summary>Runs a theory on PostgreSQL; skipped with the reason where its programs are not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OnPostgresAttribute : DataAttribute
{
    public OnPostgresAttribute() => Skip = PostgresServer.Missing;

    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[Engines.Postgres]];
}
