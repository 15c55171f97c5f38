using System.Threading.Channels;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Tests.Fakes;

public sealed class RecordingSink : IAgentEventSink
{
    private readonly Channel<Batch> _batches = Channel.CreateUnbounded<Batch>();

    /// <summary>How many of the next batches are refused with an exception.</summary>
    public int FailNext { get; set; }

    public Task OnEventsAsync(
        HostName agent, IReadOnlyList<NumberedAgentEvent> events, IReadOnlyList<AgentProgress> progress,
        CancellationToken cancellationToken)
    {
        _batches.Writer.TryWrite(new Batch(agent, events, progress));
        return FailNext-- > 0 ? throw new IOException("the coordinator's disk is full") : Task.CompletedTask;
    }

    public Task<Batch> NextAsync() => _batches.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));

    public sealed record Batch(
        HostName Agent, IReadOnlyList<NumberedAgentEvent> Events, IReadOnlyList<AgentProgress> Progress);
}
