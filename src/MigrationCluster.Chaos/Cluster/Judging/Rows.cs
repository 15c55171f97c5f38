using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;
using Npgsql;

namespace MigrationCluster.Chaos.Cluster.Judging;

/// <summary>The coordinators' store and the agents' journals, read past every daemon.</summary>
internal sealed class Rows(ChaosCluster cluster)
{
    /// <returns>null: the store cannot be read just now, or knows no such guest.</returns>
    public async Task<GuestRow?> ReadAsync(string guest)
    {
        try
        {
            await using var db = Store();
            return await db.QuerySingleOrDefaultAsync<(string Owner, long Epoch, string Decision, string? Attempt, string? Destination)?>(
                "SELECT owner, epoch, decision, attempt, destination FROM guests WHERE guest = @guest", new { guest }) is { } row
                ? new GuestRow(
                    new GuestName(guest), new HostName(row.Owner), new Epoch((ulong)row.Epoch), Enum.Parse<OwnershipDecision>(row.Decision),
                    row.Attempt is null ? null : new MigrationId(row.Attempt), row.Destination is null ? null : new HostName(row.Destination))
                : null;
        }
        catch (Exception error) when (error is DbException or InvalidOperationException or IOException or TimeoutException)
        {
            return null;
        }
    }

    /// <returns>the coordinators' journal, by migration, in order.</returns>
    public async Task<IReadOnlyList<(string Migration, string Body)>> JournalAsync()
    {
        await using var db = Store();
        return [.. await db.QueryAsync<(string, string)>("SELECT migration, body FROM journal ORDER BY number")];
    }

    /// <returns>an agent's journal, in order; side as Protocol numbers it.</returns>
    public async Task<IReadOnlyList<(string Migration, long Side, string Body)>> AgentAsync(string host)
    {
        await using var db = Sqlite(Path.Combine(cluster.DataOf(host), "agent.db"));
        return [.. await db.QueryAsync<(string, long, string)>("SELECT migration, side, body FROM events ORDER BY number")];
    }

    private DbConnection Store() => cluster.Database is { } database
        ? new NpgsqlConnection(database.Connection + ";Pooling=false;Search Path=migration_cluster,public;Timeout=2")
        : Sqlite(Path.Combine(cluster.DataOf(cluster.Settings.Coordinators[0]), "coordinator.db"));

    private static SqliteConnection Sqlite(string file) => new(new SqliteConnectionStringBuilder
    {
        DataSource = file,
        Mode = SqliteOpenMode.ReadOnly,
        Pooling = false,
    }.ConnectionString);
}
