using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Cli.Commands;

namespace MigrationCluster.Cli.Certificates;

/// <summary>
/// A development authority in a folder: <c>ca.pem</c> and <c>ca-key.pem</c>. Whoever has the key can be anybody in the cluster, so the
/// folder stays with whoever runs it; what it issues is a folder each, to be handed to one host or one operator.
/// </summary>
public sealed class Authority : IDisposable
{
    public const string KeyFile = "ca-key.pem";

    private const string ServerUse = "1.3.6.1.5.5.7.3.1";
    private const string ClientUse = "1.3.6.1.5.5.7.3.2";
    private const int AuthorityYears = 10;
    private const int CertificateDays = 365;

    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode PublicFile = PrivateFile | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>Hosts' clocks differ: what was issued now is valid at once on one that is behind.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromHours(1);

    private readonly string _directory;
    private readonly X509Certificate2 _certificate;

    private Authority(string directory, X509Certificate2 certificate) => (_directory, _certificate) = (directory, certificate);

    public X509Certificate2 Certificate => _certificate;

    /// <exception cref="UsageException">there is one already, or the folder cannot be made.</exception>
    public static Authority Make(string directory, TimeProvider time)
    {
        foreach (string file in new[] { Credentials.AuthorityFile, KeyFile })
            if (File.Exists(Path.Combine(directory, file)))
                throw new UsageException($"{directory} holds an authority already ({file}): an authority is never overwritten; name another folder");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        // Two authorities are never named alike: an error can say which is meant.
        string name = $"CN=MigrationCluster authority {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}";
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var now = time.GetUtcNow();
        var certificate = request.CreateSelfSigned(now - ClockSkew, now.AddYears(AuthorityYears));
        Writing(directory, () =>
        {
            MakeFolder(directory);
            WriteKey(Path.Combine(directory, KeyFile), key);
            WriteNew(Path.Combine(directory, Credentials.AuthorityFile), certificate.ExportCertificatePem());
        });
        return new Authority(directory, certificate);
    }

    /// <exception cref="UsageException">there is none, or its files are not as they must be.</exception>
    public static Authority Open(string directory)
    {
        string certificate = Path.Combine(directory, Credentials.AuthorityFile), key = Path.Combine(directory, KeyFile);
        foreach (string file in new[] { certificate, key })
            if (!File.Exists(file))
                throw new UsageException($"{directory} holds no authority (there is no {file}): make one with `migctl certs init {directory}`");
        try
        {
            return new Authority(directory, X509Certificate2.CreateFromPemFile(certificate, key));
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"the authority in {directory} cannot be read: {error.Message}");
        }
    }

    /// <summary>Issues a certificate into a folder of its own, which appears whole or not at all.</summary>
    /// <param name="addresses">IP addresses and DNS names it may be reached at; none: at any.</param>
    /// <returns>the folder.</returns>
    /// <exception cref="UsageException">it was issued before, or the authority has expired.</exception>
    public string Issue(CertificateIdentity identity, IReadOnlyList<string> addresses, TimeProvider time)
    {
        string kind = identity.Role == CertificateRole.Operator ? "operator" : "node";
        string folder = Path.Combine(_directory, $"{kind}-{identity.Name}");
        if (Path.Exists(folder))
            throw new UsageException($"{folder} is there already: a key is never overwritten; move the folder away to have a new one issued");
        var now = time.GetUtcNow();
        if (now > _certificate.NotAfter)
            throw new UsageException(
                $"the authority in {_directory} expired at {_certificate.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm} UTC: "
                + "make another with `migctl certs init`, and issue every certificate of the cluster anew");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign(identity, addresses, key, now);
        string making = $"{folder}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}";
        Writing(folder, () =>
        {
            MakeFolder(making);
            WriteKey(Path.Combine(making, Credentials.KeyFile), key);
            WriteNew(Path.Combine(making, Credentials.CertificateFile), certificate.ExportCertificatePem());
            WriteNew(Path.Combine(making, Credentials.AuthorityFile), _certificate.ExportCertificatePem());
            Directory.Move(making, folder);
        });
        return folder;
    }

    public void Dispose() => _certificate.Dispose();

    private X509Certificate2 Sign(CertificateIdentity identity, IReadOnlyList<string> addresses, ECDsa key, DateTimeOffset now)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(identity.Uri);
        foreach (string address in addresses)
            if (IPAddress.TryParse(address, out var ip)) names.AddIpAddress(ip);
            else names.AddDnsName(address);
        // A node is called and calls: both uses. An operator only calls, so that nobody takes him for a coordinator.
        var uses = new OidCollection { new Oid(ClientUse) };
        if (identity.Role != CertificateRole.Operator) uses.Add(new Oid(ServerUse));
        var request = new CertificateRequest($"CN={identity}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(uses, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_certificate, true, false));
        byte[] serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)(serial[0] & 0x7f | 0x40);
        return request.Create(
            _certificate, Later(now - ClockSkew, _certificate.NotBefore), Earlier(now.AddDays(CertificateDays), _certificate.NotAfter), serial);
    }

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;

    private static void MakeFolder(string path)
    {
        if (OperatingSystem.IsWindows()) throw NotThere();
        Directory.CreateDirectory(path, PrivateFile | UnixFileMode.UserExecute);
    }

    private static void WriteKey(string path, ECDsa key) =>
        WriteNew(path, key.ExportPkcs8PrivateKeyPem(), PrivateFile);

    private static void WriteNew(string path, string pem, UnixFileMode mode = PublicFile)
    {
        if (OperatingSystem.IsWindows()) throw NotThere();
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode };
        using var file = new FileStream(path, options);
        file.Write(System.Text.Encoding.ASCII.GetBytes(pem + "\n"));
    }

    private static PlatformNotSupportedException NotThere() => new("keys are kept private by file modes");

    private static void Writing(string what, Action write)
    {
        try
        {
            write();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{what} cannot be written: {error.Message}");
        }
    }
}
