using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;
using Spectre.Console;

namespace MigrationCluster.Cli.Watching;

/// <summary>Follows a migration to its end, showing it as it goes. Watching is all it does: stopping to watch, or a
/// coordinator that restarts meanwhile, changes nothing about the migration.</summary>
/// <param name="offset">see <see cref="PlainProgress"/>.</param>
public sealed class MigrationWatcher(
    ClusterClient client, Terminal terminal, bool json, TimeProvider time, TimeSpan offset = default)
{
    /// <summary>A restarting coordinator answers within this.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(100);

    /// <summary>What was last heard of it; null before the first look.</summary>
    public MigrationView? Latest { get; private set; }

    /// <returns>the migration once it has ended. One in doubt has not: that ends by itself.</returns>
    /// <exception cref="ApiException">it is unknown, or its coordinator has not answered for 30 s.</exception>
    public async Task<MigrationView> WatchAsync(MigrationView first, CancellationToken cancellationToken)
    {
        if (!json && terminal.Interactive) return await WatchLiveAsync(first, cancellationToken);
        var lines = new PlainProgress(json ? terminal.Error : terminal.Output, offset);
        return await FollowAsync(first, lines.Show, cancellationToken);
    }

    private async Task<MigrationView> WatchLiveAsync(MigrationView first, CancellationToken cancellationToken) =>
        await terminal.Console.Live(LiveProgress.Render(first)).StartAsync(context =>
            FollowAsync(first, view => context.UpdateTarget(LiveProgress.Render(view)), cancellationToken));

    private async Task<MigrationView> FollowAsync(
        MigrationView view, Action<MigrationView> show, CancellationToken cancellationToken)
    {
        long lastAnswer = time.GetTimestamp();
        Latest = view;
        show(view);
        while (view.Outcome is Outcomes.Running or Outcomes.InDoubt)
        {
            await Task.Delay(BetweenLooks, time, cancellationToken);
            try
            {
                view = await client.WatchMigrationAsync(view.Id, view.Version, cancellationToken);
            }
            catch (ApiException error) when (error.HttpStatus == ApiException.Unreachable &&
                time.GetElapsedTime(lastAnswer) < Patience)
            {
                continue;
            }
            lastAnswer = time.GetTimestamp();
            Latest = view;
            show(view);
        }
        return view;
    }
}
