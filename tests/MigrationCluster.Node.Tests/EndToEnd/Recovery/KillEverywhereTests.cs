using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>
/// kill -9 of a daemon, the coordinator or a guest process at every durable step: afterwards the guest runs on exactly one host, without a human.
/// A few by default, all of them with <c>MC_ALL_FAILPOINTS=1</c> (docs/recovery.md).
/// </summary>
[Collection(EndToEndTest.Name)]
public sealed class KillEverywhereTests(FailpointFleet fleets, ITestOutputHelper output) : IClassFixture<FailpointFleet>
{
    private static readonly IReadOnlyList<FailpointCase> Cases =
        Environment.GetEnvironmentVariable("MC_ALL_FAILPOINTS") == "1" ? FailpointCase.All : FailpointCase.Chosen;

    public static TheoryData<string> Names => [.. Cases.Select(it => it.ToString())];

    [Theory, MemberData(nameof(Names))]
    public async Task The_guest_runs_on_exactly_one_host_after_a_kill_of_the(string process)
    {
        var it = Cases.Single(other => other.ToString() == process);
        var fleet = await fleets.TakeAsync();
        var run = new KillRun(fleet, it);
        var watch = Stopwatch.StartNew();
        try
        {
            await run.RunAsync();
        }
        catch (Exception)
        {
            output.WriteLine(fleet.Logs());
            await fleet.AbandonAsync();
            throw;
        }

        fleets.Give(fleet, string.Create(CultureInfo.InvariantCulture, $"{it.Point}\t{it.Time}\t{it.Where}\t{it.Story}\t{run.Outcome}\t{watch.Elapsed.TotalSeconds:F1}"));
        output.WriteLine($"{run.Outcome}; {fleets.Fired} of {Cases.Count} have fired");
    }
}

/// <summary>One fleet for case after case, as a real one sees them; a case that fails leaves the next a new one.</summary>
public sealed class FailpointFleet : IAsyncLifetime
{
    private Fleet? _fleet;

    public int Fired { get; private set; }

    internal async Task<Fleet> TakeAsync()
    {
        var fleet = _fleet ?? await Fleet.StartAsync(
            alphaConfiguration: Fleet.Configuration(256, gpuMiB: 16), betaConfiguration: Fleet.Configuration(256, gpuMiB: 16),
            guest: Fleet.Spec(), apart: true);
        _fleet = null;
        return fleet;
    }

    /// <param name="outcome">a line for the table in artifacts/.</param>
    internal void Give(Fleet fleet, string outcome)
    {
        _fleet = fleet;
        Fired++;
        File.AppendAllText(Path.Combine(AppContext.BaseDirectory, "failpoints.tsv"), outcome + "\n");
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_fleet is not null) await _fleet.DisposeAsync();
    }
}
