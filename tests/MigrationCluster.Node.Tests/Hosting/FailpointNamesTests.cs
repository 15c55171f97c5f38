using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.EndToEnd.Recovery;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Node.Tests.Hosting;

public sealed class FailpointNamesTests
{
    [Fact]
    public void Every_event_of_the_machines_has_one_before_it_and_one_after_it()
    {
        foreach (var e in WireSamples.AgentEvents) AssertAround(["source", "destination"], StepName.Of(e));
        foreach (var e in WireSamples.CoordinatorEvents.Where(e => e is not CoordinatorEvent.Observed)) AssertAround(["coordinator"], StepName.Of(e));
        foreach (string heard in (string[])["SetupCollected", "DestinationVerified", "GuestYielded", "GuestResumed", "ProvenNeverRan"])
            AssertAround(["coordinator"], heard);
        // What the coordinator hears and does not keep is no step of its journal.
        Assert.DoesNotContain("coordinator:before:KeepRequested", FailpointNames.All);
        Assert.DoesNotContain("source:before:PermitTaken", FailpointNames.All);
        Assert.DoesNotContain("destination:before:GuestYielded", FailpointNames.All);
    }

    [Fact]
    public void Every_effect_every_swap_of_a_row_and_every_vote_has_its_own()
    {
        foreach (var type in typeof(SourceEffect).GetNestedTypes()) Assert.Contains($"source:effect:{type.Name}", FailpointNames.All);
        foreach (var type in typeof(DestinationEffect).GetNestedTypes()) Assert.Contains($"destination:effect:{type.Name}", FailpointNames.All);
        foreach (var command in WireSamples.Commands) Assert.Contains($"coordinator:effect:{command.GetType().Name}", FailpointNames.All);
        foreach (string decision in Enum.GetNames<OwnershipDecision>()) AssertAround(["row"], decision);
        foreach (string vote in Enum.GetNames<Vote>()) AssertAround(["fence"], vote);
    }

    [Fact]
    public void Names_are_unique_and_each_is_either_fired_by_a_case_or_told_why_not()
    {
        Assert.Equal(FailpointNames.All.Count, FailpointNames.All.Distinct().Count());
        Assert.True(FailpointNames.All.Count >= 60, $"{FailpointNames.All.Count}");
        var fired = FailpointCase.All.Select(it => it.Point).ToHashSet();
        Assert.Empty(fired.Except(FailpointNames.All));
        Assert.All(FailpointNames.All.Except(fired), name => Assert.Contains(name.Split(':')[2], FailpointCase.NotReached.Keys));
        Assert.Empty(FailpointCase.Chosen.Except(FailpointCase.All));
        Assert.Equal(FailpointCase.All.Count, FailpointCase.All.Select(it => it.ToString()).Distinct().Count());
    }

    private static void AssertAround(string[] scopes, string step) => Assert.True(
        scopes.Any(scope => FailpointNames.All.Contains($"{scope}:before:{step}") && FailpointNames.All.Contains($"{scope}:after:{step}")),
        $"{step} has no failpoints under {string.Join(" or ", scopes)}");
}
