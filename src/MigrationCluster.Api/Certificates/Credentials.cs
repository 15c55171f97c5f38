using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MigrationCluster.Api.Certificates;

/// <summary>
/// What a program proves itself with on the control plane and whom it believes: its certificate, the key, and the one authority of
/// its cluster, from a folder as `migctl certs issue` makes it. Every connection is TLS 1.3, and both ends present a certificate.
/// </summary>
public sealed class Credentials
{
    public const string CertificateFile = "cert.pem";
    public const string KeyFile = "key.pem";
    public const string AuthorityFile = "ca.pem";

    private readonly X509Certificate2 _own;
    private readonly X509Certificate2 _authority;
    private readonly SslStreamCertificateContext _presented;

    private Credentials(X509Certificate2 own, X509Certificate2 authority, CertificateIdentity identity)
    {
        (_own, _authority, Identity) = (own, authority, identity);
        _presented = SslStreamCertificateContext.Create(own, null, offline: true);
    }

    public CertificateIdentity Identity { get; }

    public DateTimeOffset ValidUntil => new(_own.NotAfter.ToUniversalTime());

    /// <exception cref="CertificateException">a file is missing or malformed, or the certificate does not do today.</exception>
    public static Credentials Open(string directory)
    {
        string FileOf(string name) => Path.Combine(directory, name) is var path && File.Exists(path) ? path : throw Missing(directory, name);
        try
        {
            var own = X509Certificate2.CreateFromPemFile(FileOf(CertificateFile), FileOf(KeyFile));
            var authority = X509CertificateLoader.LoadCertificateFromFile(FileOf(AuthorityFile));
            if (CertificateCheck.Problem(own, authority) is { } problem)
                throw new CertificateException(problem.Code, $"{directory}: {problem.Message}", problem.Remedy);
            var identity = CertificateIdentity.Read(own) ?? throw new CertificateException(
                ErrorCodes.CertificateWrongName, $"{directory}: {CertificateCheck.Whose(own)} names no node and no operator",
                "have one issued with `migctl certs issue`");
            return new Credentials(own, authority, identity);
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            throw new CertificateException(ErrorCodes.CertificateMissing, $"{directory}: {error.Message}",
                "give the folder as `migctl certs issue` made it");
        }
    }

    /// <summary>Whether others may reach this node at that address: where a certificate names addresses, only there.</summary>
    public bool Serves(string host) => Names(_own, host);

    /// <summary>For calling the node of that name, and no other.</summary>
    public SslClientAuthenticationOptions ToNode(string name) => To(identity => identity.IsNode(name), $"node {name}");

    /// <summary>For calling a coordinator, whichever: they share one truth.</summary>
    public SslClientAuthenticationOptions ToCoordinator() =>
        To(identity => identity.Role == CertificateRole.Coordinator, "a coordinator");

    /// <param name="refused">told why a caller was not let in; a caller himself learns nothing.</param>
    public SslServerAuthenticationOptions Server(Action<string> refused) => new()
    {
        ServerCertificateContext = _presented,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls13,
        CertificateChainPolicy = CertificateCheck.Policy(_authority),
        // Connections are few and long: whoever comes again proves himself again.
        AllowTlsResume = false,
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
        {
            if (Caller(certificate as X509Certificate2, chain, errors) is not { } problem) return true;
            refused(problem);
            return false;
        },
    };

    private SslClientAuthenticationOptions To(Func<CertificateIdentity, bool> wanted, string whom) => new()
    {
        ClientCertificateContext = _presented,
        EnabledSslProtocols = SslProtocols.Tls13,
        CertificateChainPolicy = CertificateCheck.Policy(_authority),
        AllowTlsResume = false,
        // Thrown, not returned: the reason travels up to whoever wanted the connection.
        RemoteCertificateValidationCallback = (stream, certificate, chain, errors) =>
            Callee(certificate as X509Certificate2, chain, errors, ((SslStream)stream).TargetHostName, wanted, whom) is { } problem
                ? throw problem
                : true,
    };

    private string? Caller(X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is null) return "no certificate was presented";
        if (errors != SslPolicyErrors.None) return CertificateCheck.Problem(certificate, chain!, _authority).Message;
        return CertificateIdentity.Read(certificate) is null ? $"{CertificateCheck.Whose(certificate)} names no node and no operator" : null;
    }

    private CertificateException? Callee(
        X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors, string host,
        Func<CertificateIdentity, bool> wanted, string whom)
    {
        if (certificate is null)
            return new CertificateException(ErrorCodes.CertificateMissing, "no certificate was presented", "start it with --certs");
        // Names are judged here: to TLS they are addresses.
        if ((errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) != 0)
            return CertificateCheck.Problem(certificate, chain!, _authority);
        if (CertificateIdentity.Read(certificate) is not { } identity || !wanted(identity))
            return new CertificateException(
                ErrorCodes.CertificateWrongName, $"{CertificateCheck.Whose(certificate)} is not of {whom}",
                "check the address; a coordinator's certificate is issued with --may-coordinate");
        return Names(certificate, host) ? null : new CertificateException(
            ErrorCodes.CertificateWrongName, $"{CertificateCheck.Whose(certificate)} is not for the address {host}",
            "call it at an address the certificate names, or have one issued with that --address");
    }

    private static bool Names(X509Certificate2 certificate, string host) =>
        certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .All(names => !names.EnumerateDnsNames().Any() && !names.EnumerateIPAddresses().Any())
        || certificate.MatchesHostname(host.Trim('[', ']'), allowWildcards: false, allowCommonName: false);

    private static CertificateException Missing(string directory, string name) => new(
        ErrorCodes.CertificateMissing, $"{directory} has no {name}",
        "give the folder as `migctl certs issue` made it: " + string.Join(", ", CertificateFile, KeyFile, AuthorityFile));
}
