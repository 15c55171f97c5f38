using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>Where everything that ends a session comes together: the first reason is kept and told to everybody.</summary>
internal sealed class BreakFunnel : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private TransferFailedException? _failure;

    internal BreakFunnel() => Stopping = _stopping.Token;

    /// <summary>Cancelled with the first failure; every read, write and wait of the session obeys it.</summary>
    internal CancellationToken Stopping { get; }

    internal TransferFailedException? Failure => Volatile.Read(ref _failure);

    /// <returns>true when this was the first reason.</returns>
    internal bool Break(TransferFailureReason reason, string message, Exception? inner = null)
    {
        if (Interlocked.CompareExchange(ref _failure, new TransferFailedException(reason, message, inner), null) is not null)
            return false;
        _stopping.Cancel();
        return true;
    }

    /// <summary>Turns what ended a loop into a reason.</summary>
    internal void Break(Exception exception, string where)
    {
        switch (exception)
        {
            case TransferFailedException failed:
                Break(failed.Reason, failed.Message, failed.InnerException);
                break;
            case System.Net.Sockets.SocketException or ObjectDisposedException:
                Break(TransferFailureReason.ConnectionLost, $"{where} was lost: {exception.Message}", exception);
                break;
            case OperationCanceledException:
                Break(TransferFailureReason.Cancelled, $"{where} was cancelled", exception);
                break;
            default:
                Break(TransferFailureReason.Defect, $"{where}: {exception.GetType().Name}: {exception.Message}", exception);
                break;
        }
    }

    internal void ThrowIfBroken()
    {
        // A new one each time: the same exception thrown by several callers would mix their stack traces.
        if (Failure is { } failure) throw new TransferFailedException(failure.Reason, failure.Message, failure);
    }

    public void Dispose() => _stopping.Dispose();
}
