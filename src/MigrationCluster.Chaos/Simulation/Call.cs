namespace MigrationCluster.Chaos.Simulation;

/// <summary>A question that one process has under way; its first end counts, and is heard in the asker's own turn.</summary>
internal sealed class Call<T>
{
    private readonly TaskCompletionSource<T> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenRegistration _givesUp;
    public Call(CancellationToken cancellationToken) => _givesUp = cancellationToken.UnsafeRegister(
        static (call, token) => ((Call<T>)call!)._end.TrySetCanceled(token), this);

    /// <summary>Heard in a turn of its own, whoever ends it: what waits for several of these goes on there, too.</summary>
    public async Task<T> EndAsync() => await _end.Task;

    public void Answer(T answer)
    {
        _givesUp.Dispose();
        _end.TrySetResult(answer);
    }

    public void Fail(Exception error)
    {
        _givesUp.Dispose();
        _end.TrySetException(error);
    }
}
