using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Cli.Certificates;

namespace MigrationCluster.Cli.Tests.Commands;

public sealed class CertsCommandTests : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly string _folder = Directory.CreateTempSubdirectory("mcc").FullName;

    private string Authority => Path.Combine(_folder, "certs");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("coordinator alpha", "node-alpha", "--node", "alpha", "--may-coordinate")]
    [InlineData("node beta", "node-beta", "--node", "beta")]
    [InlineData("operator ada", "operator-ada", "--operator", "ada")]
    public async Task What_is_issued_is_a_folder_ready_to_be_used(string of, string folder, params string[] args)
    {
        Assert.Equal(0, (await Ran.Migctl("certs", "init", Authority)).Code);
        var ran = await Ran.Migctl(["certs", "issue", Authority, .. args, "--output", "json"]);

        Assert.Equal(0, ran.Code);
        using var document = JsonDocument.Parse(ran.Output);
        Assert.Equal(of, document.RootElement.GetProperty("of").GetString());
        string issued = Path.Combine(Authority, folder);
        Assert.Contains(issued, ran.Error);
        var credentials = Credentials.Open(issued);
        Assert.Equal(of, credentials.Identity.ToString());
        Assert.InRange(credentials.ValidUntil - DateTimeOffset.UtcNow, TimeSpan.FromDays(364), TimeSpan.FromDays(366));
        Assert.Equal(["ca.pem", "cert.pem", "key.pem"], Directory.GetFiles(issued).Select(Path.GetFileName).Order());
        Assert.True(credentials.Serves("anywhere.example"));
    }

    [Fact]
    public async Task Keys_are_their_owners_alone()
    {
        await Ran.Migctl("certs", "init", Authority);
        await Ran.Migctl("certs", "issue", Authority, "--node", "alpha");

        foreach (string key in new[] { "ca-key.pem", "node-alpha/key.pem" })
            Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(Path.Combine(Authority, key)) == Private, key);
        Assert.DoesNotContain("PRIVATE", await File.ReadAllTextAsync(Path.Combine(Authority, "node-alpha", "cert.pem")));
    }

    [Fact]
    public async Task Operators_serve_nobody_and_nodes_are_no_authority()
    {
        await Ran.Migctl("certs", "init", Authority);
        await Ran.Migctl("certs", "issue", Authority, "--operator", "ada");
        await Ran.Migctl("certs", "issue", Authority, "--node", "alpha", "--address", "10.0.0.1", "--address", "alpha.example");
        using var ada = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(Authority, "operator-ada", "cert.pem"));
        using var alpha = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(Authority, "node-alpha", "cert.pem"));

        Assert.Equal(["1.3.6.1.5.5.7.3.2"], Uses(ada));
        Assert.Equal(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"], Uses(alpha));
        Assert.All([ada, alpha], one => Assert.False(one.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority));
        var credentials = Credentials.Open(Path.Combine(Authority, "node-alpha"));
        Assert.True(credentials.Serves("10.0.0.1") && credentials.Serves("alpha.example"));
        Assert.False(credentials.Serves("10.0.0.2") || credentials.Serves("beta.example"));
    }

    [Fact]
    public async Task Nothing_is_ever_overwritten()
    {
        await Ran.Migctl("certs", "init", Authority);
        await Ran.Migctl("certs", "issue", Authority, "--node", "alpha");
        var before = Directory.GetFiles(Authority, "*", SearchOption.AllDirectories).Select(File.ReadAllText).ToList();

        var init = await Ran.Migctl("certs", "init", Authority);
        var issue = await Ran.Migctl("certs", "issue", Authority, "--node", "alpha", "--may-coordinate");

        Assert.Equal((2, 2), (init.Code, issue.Code));
        Assert.Contains($"{Authority} holds an authority already", init.Error);
        Assert.Contains("node-alpha is there already", issue.Error);
        Assert.Equal(before, Directory.GetFiles(Authority, "*", SearchOption.AllDirectories).Select(File.ReadAllText));
    }

    [Theory]
    [InlineData("holds no authority", "--node", "alpha")]
    [InlineData("--node Alpha: accepted is 1 to 32 characters", "--node", "Alpha")]
    [InlineData("--operator a/b: accepted is 1 to 32 characters", "--operator", "a/b")]
    [InlineData("give either --node NAME or --operator NAME", "--node", "a", "--operator", "b")]
    [InlineData("give either --node NAME or --operator NAME")]
    [InlineData("--may-coordinate and --address are for --node", "--operator", "ada", "--may-coordinate")]
    [InlineData("--address 10.0.0.1:7101: accepted is an IP address or a DNS name", "--node", "a", "--address", "10.0.0.1:7101")]
    public async Task What_cannot_be_issued_is_said_and_leaves_nothing(string said, params string[] args)
    {
        var ran = await Ran.Migctl(["certs", "issue", Authority, .. args]);

        Assert.Equal(2, ran.Code);
        Assert.Contains(said, ran.Error);
        Assert.False(Directory.Exists(Authority));
    }

    [Fact]
    public async Task An_authority_that_has_expired_issues_nothing()
    {
        using (Certificates.Authority.Make(Authority, new LongAgo()))
        {
            var ran = await Ran.Migctl("certs", "issue", Authority, "--node", "alpha");
            Assert.Equal(2, ran.Code);
            Assert.Contains("expired at", ran.Error);
            Assert.Contains("migctl certs init", ran.Error);
        }

        Assert.Equal(1, (await Ran.Migctl("certs", "show", Authority)).Code);
    }

    [Fact]
    public async Task Shows_whom_a_certificate_is_of_and_what_is_wrong_with_it()
    {
        await Ran.Migctl("certs", "init", Authority);
        await Ran.Migctl("certs", "issue", Authority, "--node", "alpha", "--address", "10.0.0.1");
        string folder = Path.Combine(Authority, "node-alpha");

        var good = await Ran.Migctl("certs", "show", folder);
        await Ran.Migctl("certs", "init", Path.Combine(_folder, "other"));
        File.Copy(Path.Combine(_folder, "other", "ca.pem"), Path.Combine(folder, "ca.pem"), overwrite: true);
        var bad = await Ran.Migctl("certs", "show", folder);

        Assert.Equal((0, 1), (good.Code, bad.Code));
        Assert.Matches("of +node alpha", good.Output);
        Assert.Matches("addresses +10.0.0.1", good.Output);
        Assert.Contains("of another authority", bad.Output);
        Assert.Equal(2, (await Ran.Migctl("certs", "show", _folder)).Code);
    }

    [Theory]
    [InlineData("wants to know who asks: give --certs DIR or MC_CERTS", "--coordinator", "https://127.0.0.1:1")]
    [InlineData("has no cert.pem", "--coordinator", "https://127.0.0.1:1", "--certs", "/nowhere")]
    [InlineData("beyond this machine a coordinator is at https://", "--coordinator", "http://10.0.0.1:7101")]
    [InlineData("write https:// if it was started with --certs", "--coordinator", "http://127.0.0.1:1", "--certs", "/nowhere")]
    public async Task Who_asks_without_proving_himself_is_told_how(string said, params string[] args)
    {
        var ran = await Ran.Migctl(["node", "list", .. args]);

        Assert.Equal(2, ran.Code);
        Assert.Contains(said, ran.Error);
    }

    [Fact]
    public async Task Credentials_that_have_expired_are_named_before_anything_is_asked()
    {
        using var authority = Certificates.Authority.Make(Authority, new LongAgo());
        string folder = authority.Issue(new CertificateIdentity(CertificateRole.Operator, "ada"), [], new LongAgo());

        var ran = await Ran.Migctl("node", "list", "--coordinator", "https://127.0.0.1:1", "--certs", folder);

        Assert.Equal(2, ran.Code);
        Assert.Contains("the certificate of operator ada expired at", ran.Error);
    }

    private static IEnumerable<string?> Uses(X509Certificate2 certificate) => certificate.Extensions
        .OfType<X509EnhancedKeyUsageExtension>().Single().EnhancedKeyUsages.Cast<Oid>().Select(use => use.Value).Order();

    private sealed class LongAgo : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddYears(-11);
    }
}
