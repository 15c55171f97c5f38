using System.Threading.Channels;

namespace MigrationCluster.Node.Actors;

/// <summary>
/// One message at a time from a bounded mailbox. A message that throws is reported to the supervisor, its asker hears of it,
/// and the actor starts over from <see cref="RecoverAsync"/>; its mailbox and its peers are undisturbed.
///
/// <code>
///   Start -> RecoverAsync -> HandleAsync* -> (throws) -> ChildFailed -> RecoverAsync -> HandleAsync* ... -> StopAsync
///                 ^  (throws) -> ChildFailed -> wait 200 ms .. 2 s -+
/// </code>
/// </summary>
public abstract class Actor<TMessage> : IAsyncDisposable
{
    private readonly Channel<Envelope> _mailbox;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _stopping = new();
    private Task _loop = Task.CompletedTask;
    private Task? _stopped;

    /// <param name="mailboxSize">messages that may wait; a poster beyond that waits itself.</param>
    protected Actor(string name, ISupervisor supervisor, TimeProvider time, int mailboxSize = 256)
    {
        Name = name;
        Supervisor = supervisor;
        Time = time;
        _mailbox = Channel.CreateBounded<Envelope>(
            new BoundedChannelOptions(mailboxSize) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    }

    public string Name { get; }

    protected ISupervisor Supervisor { get; }

    protected TimeProvider Time { get; }

    /// <summary>Cancelled when the actor is asked to stop.</summary>
    protected CancellationToken Stopping => _stop.Token;

    /// <summary>Begins to recover and to take messages. Call once.</summary>
    public void Start() => _loop = RunAsync();

    /// <summary>Puts a message into the mailbox; waits while it is full.</summary>
    /// <exception cref="ActorStoppedException">nobody will ever read it.</exception>
    public async ValueTask PostAsync(TMessage message, CancellationToken cancellationToken) =>
        await EnqueueAsync(new Envelope(message, null), cancellationToken);

    /// <summary>Puts a message into the mailbox, unless it is full or the actor has stopped.</summary>
    public bool TryPost(TMessage message) => _mailbox.Writer.TryWrite(new Envelope(message, null));

    /// <summary>Posts a message and waits until it was handled.</summary>
    /// <exception cref="ActorFailedException">the actor failed on it.</exception>
    /// <exception cref="ActorStoppedException">the actor stopped before it came to it.</exception>
    public async Task AskAsync(TMessage message, CancellationToken cancellationToken)
    {
        var handled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await EnqueueAsync(new Envelope(message, handled), cancellationToken);
        // Not WaitAsync: that passes through the pool on its way back to the asker.
        using var givesUp = cancellationToken.UnsafeRegister(
            static (asker, token) => ((TaskCompletionSource)asker!).TrySetCanceled(token), handled);
        await handled.Task;
    }

    /// <summary>Posts a message that carries its reply and waits for that reply.</summary>
    public async Task<TReply> AskAsync<TReply>(
        Func<TaskCompletionSource<TReply>, TMessage> message, CancellationToken cancellationToken)
    {
        var reply = new TaskCompletionSource<TReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        await AskAsync(message(reply), cancellationToken);
        return await reply.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Takes no more messages, breaks the one under way off where it waits, and ends. Whoever waits in the
    /// mailbox is told.</summary>
    public Task StopAsync()
    {
        lock (_stopping) return _stopped ??= StopOnceAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Builds the state anew from what is persisted. No clock and no peers here.</summary>
    protected virtual ValueTask RecoverAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    protected abstract ValueTask HandleAsync(TMessage message, CancellationToken cancellationToken);

    /// <summary>The loop has ended; releases what the actor holds.</summary>
    protected virtual ValueTask StoppedAsync() => ValueTask.CompletedTask;

    private async Task StopOnceAsync()
    {
        _mailbox.Writer.TryComplete();
        // Off the caller's stack and lock: what waits for the token goes on at once.
        await Task.Yield();
        _stop.Cancel();
        await _loop;
        while (_mailbox.Reader.TryRead(out var left)) left.Handled?.TrySetException(new ActorStoppedException(Name));
        await StoppedAsync();
    }

    private async ValueTask EnqueueAsync(Envelope envelope, CancellationToken cancellationToken)
    {
        try
        {
            await _mailbox.Writer.WriteAsync(envelope, cancellationToken);
        }
        catch (ChannelClosedException)
        {
            throw new ActorStoppedException(Name);
        }
    }

    private async Task RunAsync()
    {
        if (!await RecoverUntilDoneAsync()) return;
        try
        {
            while (await _mailbox.Reader.WaitToReadAsync(_stop.Token))
                while (!_stop.IsCancellationRequested && _mailbox.Reader.TryRead(out var envelope))
                    if (!await HandleOneAsync(envelope))
                        return;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Asked to stop while the mailbox was empty.
        }
    }

    private async Task<bool> HandleOneAsync(Envelope envelope)
    {
        try
        {
            await HandleAsync(envelope.Message, _stop.Token);
            envelope.Handled?.TrySetResult();
            return true;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            envelope.Handled?.TrySetException(new ActorStoppedException(Name));
            return false;
        }
        catch (Exception error)
        {
            envelope.Handled?.TrySetException(new ActorFailedException(Name, error));
            Supervisor.ChildFailed(new ActorFailure(Name, error, Recovering: false));
            return await RecoverUntilDoneAsync();
        }
    }

    /// <returns>false when the actor was stopped meanwhile.</returns>
    private async Task<bool> RecoverUntilDoneAsync()
    {
        for (int attempt = 0; !_stop.IsCancellationRequested; attempt++)
        {
            try
            {
                await RecoverAsync(_stop.Token);
                return true;
            }
            catch (Exception) when (_stop.IsCancellationRequested)
            {
                return false; // whatever it broke off with
            }
            catch (Exception error)
            {
                Supervisor.ChildFailed(new ActorFailure(Name, error, Recovering: true));
            }

            await Task.Delay(BackOff.Delay(attempt), Time, _stop.Token).ConfigureAwait(Waiting.Quietly);
        }

        return false;
    }

    private readonly record struct Envelope(TMessage Message, TaskCompletionSource? Handled);
}
