using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Benchmarks.DataPlane;

namespace MigrationCluster.Benchmarks.Blackout;

/// <summary>Two real daemons, and guests that go back and forth between them.</summary>
internal sealed class BenchCluster : IAsyncDisposable
{
    private const string Alpha = "alpha", Beta = "beta";
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(20);

    private readonly List<string> _guests = [];
    private readonly string _folder;
    private readonly BenchNode _alpha, _beta;

    private BenchCluster(string folder, BenchNode alpha, BenchNode beta) => (_folder, _alpha, _beta, Client) = (folder, alpha, beta, new ClusterClient(alpha.Address));

    internal ClusterClient Client { get; }

    /// <summary>Where both nodes keep what they must not lose.</summary>
    internal string Folder => _folder;

    /// <param name="templates">device templates, as in node.json.</param>
    /// <param name="postgres">null: the embedded store.</param>
    internal static async Task<BenchCluster> StartAsync(object templates, string? postgres, CancellationToken cancellationToken)
    {
        string folder = Directory.CreateTempSubdirectory("mcb").FullName;
        try
        {
            await File.WriteAllTextAsync(
                Path.Combine(folder, "node.json"), JsonSerializer.Serialize(new { memoryMiB = 6144, templates }), cancellationToken);
            var alpha = await BenchNode.StartAsync(Alpha, folder, null, cancellationToken, postgres);
            try
            {
                var cluster = new BenchCluster(folder, alpha, await BenchNode.StartAsync(Beta, folder, alpha.Address, cancellationToken));
                while ((await cluster.Client.ListNodesAsync(cancellationToken)).Count(node => node.Reachable) < 2) await Task.Delay(Between, cancellationToken);
                return cluster;
            }
            catch
            {
                await alpha.DisposeAsync();
                throw;
            }
        }
        catch
        {
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    internal async Task StartGuestAsync(GuestSpec spec, CancellationToken cancellationToken)
    {
        await Client.StartGuestAsync(JsonSerializer.Serialize(new StartGuestRequest(Alpha, spec), Json.Requests), cancellationToken);
        _guests.Add(spec.Name);
    }

    internal async Task StopGuestAsync(string guest)
    {
        await Client.StopGuestAsync(guest, CancellationToken.None);
        _guests.Remove(guest);
    }

    /// <summary>To the other host, and to the end.</summary>
    internal async Task<MigrationView> MigrateAsync(MigrateRequest request, CancellationToken cancellationToken)
    {
        string host = (await Client.GetGuestAsync(request.Guest, cancellationToken)).Host;
        var view = await Client.MigrateAsync(request with { To = host == Alpha ? Beta : Alpha }, cancellationToken);
        while (view.EndedAt is null) view = await Client.WatchMigrationAsync(view.Id, view.Version, cancellationToken);
        return view;
    }

    /// <exception cref="InvalidOperationException">it did not move.</exception>
    internal async Task<ReportView> MoveAsync(MigrateRequest request, CancellationToken cancellationToken) =>
        await MigrateAsync(request, cancellationToken) is { Outcome: Outcomes.Completed, Report: { } report } view
            ? report.Devices.All(device => device.Identical) ? report : throw new InvalidOperationException($"{view.Id}: a device is not what it was")
            : throw new InvalidOperationException("a migration did not complete");

    public async ValueTask DisposeAsync()
    {
        foreach (string guest in _guests.ToList())
        {
            try
            {
                await StopGuestAsync(guest);
            }
            catch (ApiException)
            {
                // The daemon's end takes what is left with it.
            }
        }

        Client.Dispose();
        await _beta.DisposeAsync();
        await _alpha.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
