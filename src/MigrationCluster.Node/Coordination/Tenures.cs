using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Coordination;

/// <summary>
/// Round after round: says in the store that this coordinator lives, takes on migrations that nobody alive coordinates, lets go of
/// those another has taken. With one coordinator and the embedded store the first round takes on all of its earlier run.
/// </summary>
public sealed class Tenures(
    Migrations migrations, IMigrationOwnership ownership, NodeIdentity node, TimeProvider time, ILogger<Tenures> logger)
    : IHostedService, IDisposable
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan BetweenRounds = TimeSpan.FromMilliseconds(500);

    private readonly Dictionary<MigrationId, Task> _taking = [];
    private readonly CancellationTokenSource _stop = new();
    private Task _rounds = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _rounds = RunAsync(_stop.Token);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stop.Cancel();
        await _rounds;
        await Task.WhenAll(_taking.Values).ConfigureAwait(Waiting.Quietly);
        await migrations.DisposeAsync();
        try
        {
            await ownership.ResignAsync(cancellationToken);
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            logger.LogWarning("could not resign, others wait for the lease to run out: {Reason}", error.Message);
        }
    }

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync(CancellationToken stoppingToken)
    {
        // Off the stack of whoever starts the node: others start meanwhile.
        await Task.Yield();
        for (string? last = null; !stoppingToken.IsCancellationRequested;)
        {
            string? problem = null;
            using var rest = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            var told = Task.Delay(Timeout.InfiniteTimeSpan, rest.Token);
            try
            {
                // Taken before the round: what another says meanwhile has the next one come at once.
                told = ownership.ToldAsync(rest.Token);
                await RoundAsync(stoppingToken);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                problem = error.Message;
            }

            migrations.StoreStands(problem);
            if (problem is not null && problem != last) logger.LogWarning("the store cannot be reached: {Reason}", problem);
            else if (problem is null && last is not null) logger.LogInformation("the store answers again");
            last = problem;
            var woken = WakeAsync(told, rest);
            await Task.Delay(BetweenRounds, time, rest.Token).ConfigureAwait(Waiting.Quietly);
            rest.Cancel();
            await woken;
        }
    }

    /// <summary>Not WhenAny: a cancelled delay passes through the pool on its way there.</summary>
    private static async Task WakeAsync(Task told, CancellationTokenSource rest)
    {
        await told.ConfigureAwait(Waiting.Quietly);
        rest.Cancel();
    }

    private async Task RoundAsync(CancellationToken cancellationToken)
    {
        await migrations.LetGoOfEndedAsync(cancellationToken);
        foreach (var id in _taking.Where(pair => pair.Value.IsCompleted).Select(pair => pair.Key).ToList()) _taking.Remove(id);
        string? address = node.Address.IsCompletedSuccessfully ? await node.Address : null;
        var tenure = await migrations.RenewAsync(_taking.Keys, address, Lease, cancellationToken);
        foreach (var id in tenure.Lost)
        {
            logger.LogWarning("another coordinator has taken {Migration} on", id);
            await migrations.LetGoAsync(id);
        }

        foreach (var (id, term) in tenure.Taken) _taking[id] = TakeOnAsync(id, term, cancellationToken);
    }

    private async Task TakeOnAsync(MigrationId id, Term term, CancellationToken cancellationToken)
    {
        for (int attempt = 0; !cancellationToken.IsCancellationRequested; attempt++)
        {
            try
            {
                await migrations.TakeOnAsync(id, term, cancellationToken);
                logger.LogInformation("took {Migration} on under {Term}", id, term);
                return;
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested)
            {
                if (error is FencedOutException || error.InnerException is FencedOutException) return;
                if (attempt == 0) logger.LogWarning("{Migration} cannot be taken on yet: {Reason}", id, error.Message);
            }

            await Task.Delay(BackOff.Delay(attempt), time, cancellationToken).ConfigureAwait(Waiting.Quietly);
        }
    }
}
