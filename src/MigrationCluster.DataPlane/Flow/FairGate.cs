namespace MigrationCluster.DataPlane.Flow;

/// <summary>Lets one in at a time, in the order of asking, so that a busy device starves no other. Allocates nothing.</summary>
internal sealed class FairGate
{
    private readonly Lock _lock = new();
    private readonly Queue<AsyncSignal> _waiting = new(Protocol.DataPlane.DataPlaneWire.MaxDevices + 1);
    private bool _held;

    /// <summary>Waits for the turn. It cannot be given up: who holds the gate either leaves it or the session ends.</summary>
    /// <param name="turn">the asker's own, used for nothing else.</param>
    internal ValueTask EnterAsync(AsyncSignal turn)
    {
        lock (_lock)
        {
            if (!_held)
            {
                _held = true;
                return ValueTask.CompletedTask;
            }
            _waiting.Enqueue(turn);
        }
        return turn.WaitAsync(CancellationToken.None);
    }

    internal void Leave()
    {
        AsyncSignal? next;
        lock (_lock)
            if (!_waiting.TryDequeue(out next)) _held = false;
        next?.Set();
    }
}
