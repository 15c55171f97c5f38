using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Compatibility.Fleet;

namespace MigrationCluster.Node.Agents;

/// <summary>One agent as a coordinator sees it: its client, and the pump that reads its feed on and on.</summary>
internal sealed class AgentLink : IAsyncDisposable
{
    /// <summary>How long a read waits for events while nothing moves; it answers at once when there is one.</summary>
    private static readonly TimeSpan LongWait = TimeSpan.FromSeconds(10);

    /// <summary>The same while a transfer runs, so that its progress is fresh.</summary>
    private static readonly TimeSpan ProgressWait = TimeSpan.FromMilliseconds(250);

    /// <summary>How long offers count after they were read or confirmed: a few hellos.</summary>
    private static readonly TimeSpan OffersLast = TimeSpan.FromSeconds(15);

    private readonly IAgentEventSink _sink;
    private readonly IFeedCursors _cursors;
    private readonly SharedParts _parts;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Task _pump;
    private volatile bool _reachable;
    private long _told;

    /// <param name="parts">shared by the links of one coordinator: what many hosts offer alike is kept once.</param>
    public AgentLink(
        Member member, IAgentApi api, IAgentEventSink sink, IFeedCursors cursors, SharedParts parts, TimeProvider time, ILogger logger)
    {
        (Member, Api, _sink, _cursors, _parts, _time, _logger) = (member, api, sink, cursors, parts, time, logger);
        _pump = PumpAsync();
    }

    public Member Member { get; }

    public IAgentApi Api { get; }

    /// <summary>The last read of its feed was answered.</summary>
    public bool Reachable => _reachable;

    /// <summary>As it last told them; null: not heard yet.</summary>
    public AgentOffers? Offers { get; private set; }

    /// <summary>Its offers may have changed unheard: it says hello to another coordinator, or not at all.</summary>
    public bool OffersAreOld => _time.GetElapsedTime(_told) > OffersLast;

    /// <summary>As it last told it; null: not heard yet.</summary>
    public int? FreeMiB { get; private set; }

    /// <summary>What it offers is fetched when its hello says that it has changed.</summary>
    public void Heard(AgentHello hello)
    {
        FreeMiB = hello.FreeMiB;
        if (hello.Offers == Offers?.Digest) _told = _time.GetTimestamp();
        if (hello.Offers is not null && hello.Offers != Offers?.Digest) _ = FetchOffersAsync();
    }

    public async Task<AgentOffers?> ReadOffersAsync(CancellationToken cancellationToken)
    {
        var told = await Api.OffersAsync(cancellationToken);
        lock (_parts)
            Offers = told is null ? null
                : told with { Classes = told.Classes.ToDictionary(@class => @class.Key, @class => _parts.Share(@class.Value)) };
        _told = _time.GetTimestamp();
        return Offers;
    }

    /// <summary>The agent was just heard of: no need to wait before the next try.</summary>
    public void Wake()
    {
        if (!_reachable) _wake.Writer.TryWrite(true);
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _pump;
        Api.Dispose();
        _stop.Dispose();
    }

    private async Task PumpAsync()
    {
        await Task.Yield();
        int failures = 0;
        bool moving = false;
        long? cursor = null;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                cursor ??= await _cursors.ReadAsync(Member.Name, _stop.Token);
                // The first read comes back at once: it tells whether the agent is there.
                var wait = !_reachable ? TimeSpan.Zero : moving ? ProgressWait : LongWait;
                var batch = await Api.ReadEventsAsync(cursor.Value, wait, _stop.Token);
                if (!_reachable) _logger.LogInformation("host {Host} answers at {Address}", Member.Name, Member.Address);
                _reachable = true;
                if (batch.Events.Count > 0 || batch.Progress.Count > 0 || moving)
                    await _sink.OnEventsAsync(Member.Name, batch.Events, batch.Progress, _stop.Token);
                if (batch.Events.Count > 0)
                {
                    cursor = batch.Events[^1].Number;
                    await _cursors.MoveAsync(Member.Name, cursor.Value, _stop.Token);
                }

                (moving, failures) = (batch.Progress.Count > 0, 0);
            }
            catch (Exception) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                Note(error, failures);
                await RestAsync(BackOff.Delay(failures++));
            }
        }
    }

    private async Task FetchOffersAsync()
    {
        try
        {
            await ReadOffersAsync(_stop.Token);
        }
        catch (Exception error) when (error is AgentUnreachableException or OperationCanceledException or ObjectDisposedException)
        {
            // The next hello has it fetched again.
        }
    }

    private void Note(Exception error, int failures)
    {
        if (error is AgentUnreachableException)
        {
            if (_reachable || failures == 0) _logger.LogWarning("{Reason}", error.Message);
            _reachable = false;
        }
        else
        {
            // The agent is there; what it said could not be taken in. It is read again.
            _logger.LogError(error, "events of host {Host} could not be taken in", Member.Name);
        }
    }

    private async Task RestAsync(TimeSpan wait)
    {
        using var limit = new CancellationTokenSource(wait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
        try
        {
            await _wake.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            // Nobody woke it.
        }
    }
}
