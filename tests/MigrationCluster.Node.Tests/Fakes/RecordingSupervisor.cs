using System.Collections.Concurrent;
using MigrationCluster.Node.Actors;

namespace MigrationCluster.Node.Tests.Fakes;

public sealed class RecordingSupervisor : ISupervisor
{
    private readonly SemaphoreSlim _heard = new(0);

    public ConcurrentQueue<ActorFailure> Failures { get; } = new();

    public void ChildFailed(ActorFailure failure)
    {
        Failures.Enqueue(failure);
        _heard.Release();
    }

    public Task HeardAsync() => _heard.WaitAsync(TimeSpan.FromSeconds(10));
}
