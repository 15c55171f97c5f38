namespace MigrationCluster.Guest.Relay;

/// <summary>Holds a gate until disposed.</summary>
internal readonly struct Turn : IDisposable
{
    private readonly SemaphoreSlim _gate;

    private Turn(SemaphoreSlim gate) => _gate = gate;

    public static async ValueTask<Turn> TakeAsync(SemaphoreSlim gate, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        return new Turn(gate);
    }

    public void Dispose() => _gate.Release();
}
