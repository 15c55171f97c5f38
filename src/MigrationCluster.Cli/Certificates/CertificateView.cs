using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Cli.Commands;

namespace MigrationCluster.Cli.Certificates;

/// <summary>A certificate as a person or a script wants to know it.</summary>
/// <param name="Of">whom it is of, e.g. node alpha; null: of an authority, or of nobody known here.</param>
/// <param name="Addresses">where its node may be reached; empty: anywhere.</param>
/// <param name="Problem">why it would not be accepted today; null: it would, or only its authority's folder could tell.</param>
public sealed record CertificateView(
    string File, string Subject, string? Of, string? Uri, IReadOnlyList<string> Addresses, string Issuer,
    DateTime ValidFrom, DateTime ValidUntil, string Sha256, string? Problem)
{
    /// <param name="path">a certificate, or the folder of an authority or of what it issued.</param>
    /// <exception cref="UsageException">there is no certificate.</exception>
    public static CertificateView Read(string path)
    {
        string file = !Directory.Exists(path) ? path
            : Path.Combine(path, Credentials.CertificateFile) is var issued && System.IO.File.Exists(issued) ? issued
            : Path.Combine(path, Credentials.AuthorityFile);
        try
        {
            using var certificate = X509CertificateLoader.LoadCertificateFromFile(file);
            var identity = CertificateIdentity.Read(certificate);
            var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().ToList();
            return new CertificateView(
                file, certificate.Subject, identity?.ToString(), identity?.Uri.ToString(),
                [.. names.SelectMany(name => name.EnumerateDnsNames()), .. names.SelectMany(name => name.EnumerateIPAddresses()).Select(ip => ip.ToString())],
                certificate.Issuer, certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime(),
                certificate.GetCertHashString(HashAlgorithmName.SHA256), ProblemOf(path, certificate));
        }
        catch (Exception error) when (error is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{file}: {error.Message}");
        }
    }

    private static string? ProblemOf(string path, X509Certificate2 certificate)
    {
        if (certificate.NotAfter < DateTime.Now) return "it has expired";
        try
        {
            if (System.IO.File.Exists(Path.Combine(path, Credentials.CertificateFile))) Credentials.Open(path);
            return null;
        }
        catch (CertificateException error)
        {
            return error.Message;
        }
    }
}
