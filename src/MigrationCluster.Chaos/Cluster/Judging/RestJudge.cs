using System.Data.Common;
using MigrationCluster.Api;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Cluster.Judging;

/// <summary>What must hold once everything has come to rest.</summary>
internal static class RestJudge
{
    /// <summary>The guest runs on one host, its owner, works on, finds itself whole, and left nothing elsewhere; what is otherwise is reported.</summary>
    public static async Task JudgeAsync(ChaosCluster cluster, Watcher watcher, string guest, CancellationToken cancel)
    {
        try
        {
            await watcher.CheckAsync(guest, 0, cancel);
        }
        catch (ApiException error)
        {
            watcher.Report(guest, new Violation("SomebodyOwns", $"{guest} does not check itself at the end: {error.Message}"));
        }

        if (await watcher.LookAsync(guest) is not { } rest)
        {
            watcher.Report(guest, new Violation("SomebodyOwns", $"{guest} has no row at the end"));
            return;
        }

        foreach (var violation in OwnershipInvariants.Check(rest).Concat(OwnershipInvariants.CheckHealed(rest))) watcher.Report(guest, violation);
        foreach (string host in cluster.Settings.Hosts.Where(host => host != rest.Row.Owner.Value))
            await UntilGoneAsync(cluster, watcher, host, guest, cancel);
    }

    /// <summary>Sets the journals of some migrations, the coordinators' and the agents', against the machines.</summary>
    public static async Task<IReadOnlyList<Violation>> JournalsAsync(ChaosCluster cluster, Func<string, bool> of)
    {
        try
        {
            var rows = new Rows(cluster);
            var violations = (await rows.JournalAsync()).Where(entry => of(entry.Migration)).GroupBy(entry => entry.Migration)
                .SelectMany(journal => JournalJudge.Coordinator(journal.Key, [.. journal.Select(entry => entry.Body)])).ToList();
            foreach (string host in cluster.Settings.Hosts)
                foreach (var journal in (await rows.AgentAsync(host)).Where(entry => of(entry.Migration)).GroupBy(entry => (entry.Migration, entry.Side)))
                    violations.AddRange(journal.Key.Side == (long)Side.Source
                        ? JournalJudge.Source($"{journal.Key.Migration} on {host}", [.. journal.Select(entry => entry.Body)])
                        : JournalJudge.Destination($"{journal.Key.Migration} on {host}", [.. journal.Select(entry => entry.Body)]));
            return violations;
        }
        catch (Exception error) when (error is DbException or IOException)
        {
            return [new Violation("EveryTransitionAllowed", $"a journal cannot be read: {error.Message}")];
        }
    }

    /// <summary>A source is released after its guest runs elsewhere.</summary>
    private static async Task UntilGoneAsync(ChaosCluster cluster, Watcher watcher, string host, string guest, CancellationToken cancel)
    {
        for (int look = 0; look < 150; look++, await Task.Delay(200, cancel))
            if (!cluster.Files(host, guest).Leftovers().Any()) return;
        watcher.Report(guest, new Violation("NothingIsLeft", $"of {guest} on {host}: {string.Join("; ", cluster.Files(host, guest).Leftovers())}"));
    }
}
