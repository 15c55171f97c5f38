using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Transfers;

/// <summary>
/// Incoming guest processes that outlived every session of this host that could know of them: the journal is gone, or older than they
/// are. A session is journaled before its process is launched, so nobody will ever ask for such a one here. What has promised nothing is
/// discarded; what was Verified may be the only complete copy, and is left for whoever reads the row.
/// </summary>
public sealed class UnclaimedIncoming(
    GuestHost guests, IAgentJournal journal, ILogger<UnclaimedIncoming> logger) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var machine = new DestinationMachine();
        var known = journal.ListMigrations().Where(listed => listed.Side == Side.Destination)
            .Select(listed => journal.ReadMigration(listed.Migration, Side.Destination)
                .Select(numbered => numbered.Event).Aggregate(DestinationState.New, machine.Evolve).Guest)
            .ToHashSet();
        foreach (var guest in guests.List().Where(guest => !known.Contains(guest.Name)))
            await JudgeAsync(guest, cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task JudgeAsync(HostedGuest guest, CancellationToken cancellationToken)
    {
        try
        {
            if (FenceFile.Read(guest.Directory) is not { Role: GuestRole.Incoming } fence) return;
            string whose = guest.Spec.Owner is { } owner
                ? $"{owner.Migration} of coordinator {owner.Coordinator ?? "unknown"} at {fence.Fence}" : $"an attempt at {fence.Fence}";
            if (fence.VerifiedDigest is not null)
            {
                logger.LogError("incoming guest {Guest} of {Owner} belongs to no session here and is Verified: it is left, for the row decides", guest.Name, whose);
                return;
            }

            string? reason = await guests.KillAsync(guest.Name, fence.Fence, incomingOnly: true, cancellationToken);
            logger.LogWarning(
                "incoming guest {Guest} of {Owner} belongs to no session here: {Outcome}", guest.Name, whose, reason ?? "it promised nothing and is discarded");
        }
        catch (FenceFileException error)
        {
            logger.LogError("incoming guest {Guest} is left alone: {Reason}", guest.Name, error.Message);
        }
    }
}
