using System.Data.Common;

namespace MigrationCluster.Node.Journal;

/// <summary>Statements with named parameters, on any ADO.NET connection and in whatever transaction it is in.</summary>
/// <remarks>Nothing here needs code that is made at run time, so that the programs can be compiled natively (decision 0011).</remarks>
internal static class Sql
{
    /// <param name="values">parameters by their names, without a prefix; null is NULL.</param>
    /// <returns>how many rows were written.</returns>
    public static int Execute(this DbConnection db, string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        using var command = Command(db, sql, values);
        return command.ExecuteNonQuery();
    }

    /// <inheritdoc cref="Execute"/>
    public static Task<int> ExecuteAsync(this DbConnection db, string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        return RunAsync(Command(db, sql, values));

        static async Task<int> RunAsync(DbCommand command)
        {
            await using (command) return await command.ExecuteNonQueryAsync();
        }
    }

    /// <param name="read">makes something of the row that the reader stands on.</param>
    public static List<T> Query<T>(
        this DbConnection db, string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        using var command = Command(db, sql, values);
        using var rows = command.ExecuteReader();
        var found = new List<T>();
        while (rows.Read()) found.Add(read(rows));
        return found;
    }

    /// <inheritdoc cref="Query"/>
    public static Task<List<T>> QueryAsync<T>(
        this DbConnection db, string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        return RunAsync(Command(db, sql, values), read);

        static async Task<List<T>> RunAsync(DbCommand command, Func<DbDataReader, T> read)
        {
            await using (command)
            {
                await using var rows = await command.ExecuteReaderAsync();
                var found = new List<T>();
                while (await rows.ReadAsync()) found.Add(read(rows));
                return found;
            }
        }
    }

    public static string? TextOrNull(this DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static DbCommand Command(DbConnection db, string sql, ReadOnlySpan<(string Name, object? Value)> values)
    {
        var command = db.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in values)
        {
            var parameter = command.CreateParameter();
            (parameter.ParameterName, parameter.Value) = (name, value ?? DBNull.Value);
            command.Parameters.Add(parameter);
        }

        return command;
    }
}
