using System.Text.Json;
using System.Text.RegularExpressions;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>A coordinator on one machine, an agent on another, an operator with migctl: all that they say goes over the cable, sealed, and
/// so do guests.</summary>
[Collection(EndToEndTest.Name)]
public sealed partial class BeyondLoopbackTests : IDisposable
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
    public async Task Guests_move_between_machines_and_whoever_sits_on_the_cable_sees_nothing_of_them_unless_an_operator_said_so()
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
            "--data-listen", $"{TwoMachines.Second}:0", "--join", Coordinator,
        ], within: machines.On(TwoMachines.Second));
        await Eventually.TrueAsync("both are up", async () => JsonSerializer.Deserialize<IReadOnlyList<NodeView>>(
            (await MigctlAsync(machines, 0, "node", "list", "--output", "json")).Output, Json.Replies)!.Count(node => node.Reachable) == 2);

        try
        {
            // The operator sits at the second machine, and so does the guest.
            await MigctlAsync(machines, 0, "guest", "start", "--host", "beta", "--spec", _directory.File("g.json"));
            Assert.Equal($"https://{TwoMachines.Second}", beta.Address.ToString()[..beta.Address.ToString().LastIndexOf(':')]);

            using (var tap = machines.Tap(TwoMachines.First))
            {
                await MoveAsync(machines, "alpha");
                tap.Dispose();
                Assert.True(tap.Bytes > 32 << 20, $"{tap.Bytes} bytes on the cable");
                Assert.True(tap.Saw(SealedPreface.Magic));
                Assert.False(tap.Saw(ChannelHello.Magic));
                Assert.False(tap.Saw(InsideAPage));
                foreach (byte[] token in Tokens("alpha")) Assert.False(tap.Saw(token));
            }

            // What such a look would find: the same guest, the other way, on an operator's word.
            using (var tap = machines.Tap(TwoMachines.First))
            {
                string shown = await MoveAsync(machines, "beta", "--plain", "--operator", "ada");
                tap.Dispose();
                Assert.Contains("ada had guest RAM and device state travel unsealed", shown, StringComparison.Ordinal);
                Assert.True(tap.Saw(ChannelHello.Magic));
                Assert.True(tap.Saw(InsideAPage));
                Assert.Contains(Tokens("beta"), token => tap.Saw(token));
            }
        }
        finally
        {
            await MigctlAsync(machines, 0, "guest", "stop", "g");
            Assert.Equal((0, 0), (await beta.EndAsync(), await alpha.EndAsync()));
        }
    }

    /// <summary>Most of a stamped sector is left alone, and zero; of 256 zero bytes in a row nothing sealed has any.</summary>
    private static readonly byte[] InsideAPage = new byte[256];

    /// <returns>what `migration show` says of it.</returns>
    private async Task<string> MoveAsync(TwoMachines machines, string to, params string[] options)
    {
        var moved = await MigctlAsync(machines, 0, ["migrate", "g", "--to", to, "--max-downtime", "5s", "--output", "json", .. options]);
        await MigctlAsync(machines, 0, "guest", "check", "g");
        string id = JsonSerializer.Deserialize<MigrationView>(moved.Output[moved.Output.IndexOf('{', StringComparison.Ordinal)..], Json.Replies)!.Id;
        return (await MigctlAsync(machines, 0, "migration", "show", id)).Output;
    }

    /// <summary>The session secrets in a destination's journal, as bytes.</summary>
    private List<byte[]> Tokens(string destination)
    {
        var tokens = Directory.EnumerateFiles(_directory.File(destination), "agent.db*")
            .SelectMany(file => TokenInJournal().Matches(System.Text.Encoding.Latin1.GetString(Read(file))))
            .Select(match => Convert.FromHexString(match.Groups[1].Value)).ToList();
        Assert.NotEmpty(tokens);
        return tokens;
    }

    private static byte[] Read(string file)
    {
        using var open = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new MemoryStream();
        open.CopyTo(bytes);
        return bytes.ToArray();
    }

    [GeneratedRegex("\"token\":\"([0-9a-f]{64})\"", RegexOptions.IgnoreCase)]
    private static partial Regex TokenInJournal();

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
