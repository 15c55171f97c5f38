using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>What somebody would try who has no certificate of the authority: he makes one, and believes whoever answers.</summary>
internal static class Forgery
{
    public static X509Certificate2 SelfSigned(string uri)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return Request(uri, key).CreateSelfSigned(DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddDays(1));
    }

    /// <summary>As a node would that has a good certificate and is no authority.</summary>
    public static X509Certificate2 IssuedBy(X509Certificate2 node, string uri)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var signing = node.GetECDsaPrivateKey()!;
        using var made = Request(uri, key).Create(
            node.SubjectName, X509SignatureGenerator.CreateForECDsa(signing), DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddDays(1), [1, 2, 3]);
        return made.CopyWithPrivateKey(key);
    }

    /// <param name="issuer">presented too, where it is no authority anybody knows.</param>
    public static HttpClient Caller(X509Certificate2? shown, SslProtocols protocols, X509Certificate2? issuer = null) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions
        {
            ClientCertificateContext = shown is null ? null : SslStreamCertificateContext.Create(shown, issuer is null ? null : [issuer], offline: true),
            EnabledSslProtocols = protocols,
#pragma warning disable CA5359 // He believes anybody: what is under test is whether he is believed.
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
        },
    })
    {
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private static CertificateRequest Request(string uri, ECDsa key)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(uri));
        var request = new CertificateRequest("CN=forged", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], critical: true));
        return request;
    }
}
