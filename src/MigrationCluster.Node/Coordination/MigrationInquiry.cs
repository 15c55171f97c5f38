using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Coordination;

/// <summary>Answers why a migration stands or ended as it did: gathers the coordinators' journal, both agents' journals, the guest's row
/// and what is on both hosts, and says of what could not be had that it is missing.</summary>
public sealed class MigrationInquiry(IMigrationJournal journal, IGuestRows rows, IAgents agents)
{
    public async Task<Answer<WhyView>> WhyAsync(string id, CancellationToken cancellationToken)
    {
        var migration = new MigrationId(id);
        var events = (await journal.ReadAsync(migration, cancellationToken))
            .Select(entry => WireJson.Read<CoordinatorEvent>(entry.Body)).ToList();
        if (events.OfType<CoordinatorEvent.Planned>().FirstOrDefault() is not { Plan: var plan })
            return HttpRefusal.NotFound(ErrorCodes.MigrationUnknown, $"there is no migration {id}", "see `migctl migration list`");
        var source = HeardAsync(plan.Source, migration, cancellationToken);
        var destination = HeardAsync(plan.Destination, migration, cancellationToken);
        return WhyStory.Of(
            plan, events, await source, await destination, await rows.ReadAsync(plan.Guest, cancellationToken));
    }

    private async Task<HostEvidence> HeardAsync(HostName host, MigrationId migration, CancellationToken cancellationToken)
    {
        try
        {
            var events = await agents.ReadMigrationAsync(host, migration, cancellationToken);
            var traces = await agents.TracesAsync(host, cancellationToken);
            return traces is null
                ? new HostEvidence(host, events, null, $"{host} is of a release that does not show its fence files and processes")
                : new HostEvidence(host, events, traces, null);
        }
        catch (AgentUnreachableException error)
        {
            return new HostEvidence(host, null, null,
                $"{error.Message}: its journal, fence file and processes; of its events only those that a coordinator heard are shown");
        }
    }
}

/// <summary>What one host's agent shows of a migration.</summary>
/// <param name="Events">its journal of the migration; null: it could not be asked.</param>
/// <param name="Traces">null: it could not be asked, or does not tell.</param>
/// <param name="Missing">what could not be had, and why; null: nothing.</param>
public sealed record HostEvidence(HostName Host, IReadOnlyList<AgentEvent>? Events, HostTraces? Traces, string? Missing);
