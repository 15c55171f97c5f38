using MigrationCluster.Api.Certificates;
using MigrationCluster.Cli.Certificates;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>An authority as `migctl certs` makes it, and what it issued, in a directory that is gone after the test.</summary>
public sealed class TestAuthority : IDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly TimeProvider _time;
    private readonly Authority _authority;

    /// <param name="age">how long ago it was made and issues: what it issues is valid for a year.</param>
    public TestAuthority(TimeSpan age = default)
    {
        _time = new ShiftedTime(-age);
        _authority = Authority.Make(_directory.Path, _time);
    }

    public Credentials Coordinator(string name) => Credentials.Open(Issue(CertificateRole.Coordinator, name));

    public Credentials Node(string name, params string[] addresses) => Credentials.Open(Issue(CertificateRole.Node, name, addresses));

    public Credentials Operator(string name) => Credentials.Open(Issue(CertificateRole.Operator, name));

    /// <summary>Issued today, however old the authority is.</summary>
    public Credentials Renewed(CertificateRole role, string name) =>
        Credentials.Open(_authority.Issue(new CertificateIdentity(role, name), [], TimeProvider.System));

    /// <returns>the folder; as it was where it was issued before.</returns>
    public string Issue(CertificateRole role, string name, params string[] addresses)
    {
        string folder = _directory.File($"{(role == CertificateRole.Operator ? "operator" : "node")}-{name}");
        return Directory.Exists(folder) ? folder : _authority.Issue(new CertificateIdentity(role, name), addresses, _time);
    }

    public void Dispose()
    {
        _authority.Dispose();
        _directory.Dispose();
    }
}
