using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>A coordinator on one machine, an agent on another, an operator with migctl: all that they say goes over the cable, sealed.</summary>
[Collection(EndToEndTest.Name)]
public sealed class BeyondLoopbackTests : IDisposable
{
    private const string Coordinator = $"https://{TwoMachines.First}:7101";
    private readonly TestAuthority _authority = new();
    private readonly TempDirectory _directory = new();

    public void Dispose()
    {
        _authority.Dispose();
        _directory.Dispose();
    }

    [TwoMachinesFact]
    public async Task Machines_form_a_cluster_whose_guests_stay_until_their_memory_is_sealed_too()
    {
        using var machines = new TwoMachines();
        await File.WriteAllTextAsync(_directory.File("node.json"), Fleet.Configuration(256));
        await File.WriteAllTextAsync(_directory.File("g.json"), JsonSerializer.Serialize(Fleet.Spec(), Json.Requests));
        using var alpha = await NodeProcess.StartAsync(_directory.File("alpha.log"),
        [
            .. Arguments("alpha", CertificateRole.Coordinator, TwoMachines.First), "--listen", $"{TwoMachines.First}:7101", "--coordinator",
        ], within: machines.On(TwoMachines.First));
        using var beta = await NodeProcess.StartAsync(_directory.File("beta.log"),
        [
            .. Arguments("beta", CertificateRole.Node, TwoMachines.Second), "--listen", "0.0.0.0:0", "--advertise", TwoMachines.Second,
            "--join", Coordinator,
        ], within: machines.On(TwoMachines.Second));
        await Eventually.TrueAsync("both are up", async () => JsonSerializer.Deserialize<NodeView[]>(
            (await MigctlAsync(machines, 0, "node", "list", "--output", "json")).Output, Json.Replies)!.Count(node => node.Reachable) == 2);

        try
        {
            // The operator sits at the second machine, and so does the guest.
            await MigctlAsync(machines, 0, "guest", "start", "--host", "beta", "--spec", _directory.File("g.json"));
            var refused = await MigctlAsync(machines, 3, "migrate", "g", "--to", "alpha");
            await MigctlAsync(machines, 0, "guest", "check", "g");

            Assert.Equal($"https://{TwoMachines.Second}", beta.Address.ToString()[..beta.Address.ToString().LastIndexOf(':')]);
            Assert.Contains("different machines, and guests' memory is not sealed on its way yet", refused.Error, StringComparison.Ordinal);
        }
        finally
        {
            await MigctlAsync(machines, 0, "guest", "stop", "g");
            Assert.Equal((0, 0), (await beta.EndAsync(), await alpha.EndAsync()));
        }
    }

    private string[] Arguments(string name, CertificateRole role, string address) =>
    [
        "--name", name, "--data-dir", _directory.File(name), "--config", _directory.File("node.json"),
        "--certs", _authority.Issue(role, name, address),
    ];

    private async Task<(string Output, string Error)> MigctlAsync(TwoMachines machines, int status, params string[] arguments)
    {
        string migctl = Path.GetFullPath(Path.Combine(
            AppContext.BaseDirectory, "..", "..", "MigrationCluster.Cli",
            Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "migctl"));
        var ran = await machines.RunAsync(TwoMachines.Second,
            [migctl, "--coordinator", Coordinator, "--certs", _authority.Issue(CertificateRole.Operator, "ada"), .. arguments]);
        Assert.True(ran.Status == status, $"migctl {string.Join(' ', arguments)}: {ran.Status}: {ran.Output} {ran.Error}");
        return (ran.Output, ran.Error);
    }
}
