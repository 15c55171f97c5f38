using System.Text.Json;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests.Commands;

public sealed class WhyCommandTests
{
    [Fact]
    public async Task Tells_who_did_what_with_the_evidence_under_it_and_the_verdict_last()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/migrations/m-1/why", Samples.Why());
        var ran = await Ran.Migctl("migration", "why", "m-1", "--coordinator", fake.Url);

        Assert.Equal(0, ran.Code);
        Assert.Equal("""
            m-1: web, alpha → beta, attempt e7: Completed (completed)

            [  0.00 s]  coordinator c1 (t1)     planned web from alpha to beta
                                                - the row was opened for it: undecided at e7
            [  2.00 s]  coordinator c2 (t2)     took over under term 2
            [  3.00 s]  guest process on alpha  voted Yielded
                                                - durable in its fence file

            beta owns web
              - the row says: committed at e7 for m-1, owner beta

            """, ran.Output);
    }

    [Fact]
    public async Task What_is_missing_is_named()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/migrations/m-1/why", Samples.Why("host beta does not answer"));
        var ran = await Ran.Migctl("migration", "why", "m-1", "--coordinator", fake.Url);
        Assert.EndsWith("Evidence that could not be had:\n  - host beta does not answer\n", ran.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reconcile_names_what_is_needed_and_then_it_is_not_as_it_should_be()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("POST /v1/reconcile", new ReconcileView(
            [new DeviationView("host.silent", "beta does not answer, and web needs it", ["the row says: …"], Needed: "bring beta back")]));
        var ran = await Ran.Migctl("migration", "reconcile", "m-1", "--host-is-dead", "beta", "--operator", "ada", "--coordinator", fake.Url);
        Assert.Equal(1, ran.Code);
        Assert.Contains("""POST /v1/reconcile {"migration":"m-1","deadHost":"beta","by":"ada"}""", fake.Requests);
        Assert.Equal("""
            beta does not answer, and web needs it [host.silent]
              - the row says: …
              needed: bring beta back

            """, ran.Output);
    }

    [Fact]
    public async Task Json_is_the_document_itself()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/migrations/m-1/why", Samples.Why());
        var ran = await Ran.Migctl("migration", "why", "m-1", "--coordinator", fake.Url, "--output", "json");
        using var document = JsonDocument.Parse(ran.Output);
        Assert.Equal("beta", document.RootElement.GetProperty("verdict").GetProperty("owner").GetString());
    }
}
