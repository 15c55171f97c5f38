using MigrationCluster.Chaos.Cluster;
using Npgsql;

namespace MigrationCluster.Chaos.Tests.Cluster;

public sealed class DatabaseTests
{
    [DatabaseFact]
    public async Task What_was_committed_is_there_after_the_standby_has_taken_over_and_again_after_the_next_has()
    {
        string folder = Directory.CreateTempSubdirectory("mcx-db").FullName;
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
        var database = new Database(Path.Combine(folder, "db"), standby: true);
        try
        {
            database.Make();
            await using var source = NpgsqlDataSource.Create(database.Connection);
            await source.CreateCommand("CREATE TABLE t (n INT)").ExecuteNonQueryAsync();
            for (int turn = 1; turn <= 2; turn++)
            {
                await source.CreateCommand($"INSERT INTO t VALUES ({turn})").ExecuteNonQueryAsync();
                database.StopPrimary();
                database.FailOver();
                Assert.Equal((long)turn, await CountAsync(source));
                database.MakeStandby();
            }
        }
        finally
        {
            database.Stop();
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Connections that were open break one by one.</summary>
    private static async Task<object?> CountAsync(NpgsqlDataSource source)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return await source.CreateCommand("SELECT count(*) FROM t").ExecuteScalarAsync();
            }
            catch (NpgsqlException) when (attempt < 100)
            {
                source.Clear();
                await Task.Delay(100);
            }
        }
    }
}
