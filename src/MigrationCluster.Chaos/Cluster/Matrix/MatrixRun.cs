using System.Reflection;
using System.Text.Json;
using MigrationCluster.Api;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>Case after case on one cluster, as a real one sees migrations; with the first case that does not hold it ends, and whoever started it makes
/// another cluster for the rest.</summary>
internal sealed class MatrixRun(ChaosSettings settings, Action<string> say)
{
    private static readonly JsonSerializerOptions OneLine = new(JsonSerializerDefaults.Web);

    /// <summary>What this was built from, as the build wrote it down.</summary>
    public static string Commit { get; } = typeof(MatrixRun).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?
        .InformationalVersion.Split('+') is [_, { Length: >= 12 } commit] ? commit[..12] : "unknown";

    public static string ResultsOf(string report) => Path.Combine(report, "matrix.jsonl");

    /// <returns>what is written down of earlier cases; a line that was cut off is none.</returns>
    public static IReadOnlyList<MatrixResult> Read(string report)
    {
        if (!File.Exists(ResultsOf(report))) return [];
        var results = new List<MatrixResult>();
        foreach (string line in File.ReadLines(ResultsOf(report)).Where(line => line.Length > 0))
        {
            try
            {
                results.Add(JsonSerializer.Deserialize<MatrixResult>(line, OneLine)!);
            }
            catch (JsonException)
            {
                // Cut off by whatever ended that run: the case is run again.
            }
        }

        return results;
    }

    /// <summary>One write, for other clusters of the same run append too; on a line of its own, for the last may have been cut off.</summary>
    public static void Append(string report, MatrixResult result)
    {
        using var file = new FileStream(ResultsOf(report), FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        file.Write([(byte)'\n', .. JsonSerializer.SerializeToUtf8Bytes(result, OneLine), (byte)'\n']);
    }

    public async Task RunAsync(CancellationToken cancel)
    {
        using var cluster = new ChaosCluster(settings);
        try
        {
            await cluster.StartAsync(cancel);
            foreach (var it in settings.Cases!)
            {
                var result = await new CaseRun(cluster, it).RunAsync(cancel);
                Append(settings.Report, result);
                say($"{result.Case}: {result.Told}{(result.RecoverySeconds is { } recovery ? $", recovered in {recovery:F1} s" : "")} ({result.Seconds:F0} s)");
                foreach (string wrong in result.Wrong) say($"  {wrong}");
                if (result.Wrong.Count > 0) return;
            }

            foreach (string trouble in await cluster.EndAsync()) Append(settings.Report, OfCluster(trouble));
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // Whoever interrupted it goes on in the same report another time.
        }
        catch (Exception error) when (error is IOException or ApiException)
        {
            say($"the cluster: {error.Message}");
        }
        finally
        {
            cluster.Database?.Stop();
        }
    }

    /// <summary>Trouble that is of no case.</summary>
    public static MatrixResult OfCluster(string trouble) => new("the cluster", [], MatrixResult.Hung, false, false, [], null, 0, [trouble], Commit);
}
