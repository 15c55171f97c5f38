using System.Security.Cryptography.X509Certificates;

namespace MigrationCluster.Api.Certificates;

/// <summary>Whether a certificate is the authority's, and valid now. No other authority counts, whatever the machine trusts.</summary>
internal static class CertificateCheck
{
    internal static X509ChainPolicy Policy(X509Certificate2 authority) => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        CustomTrustStore = { authority },
        // Certificates here are short-lived and their authority publishes no list; a compromised one is replaced with its authority.
        RevocationMode = X509RevocationMode.NoCheck,
        DisableCertificateDownloads = true,
    };

    /// <returns>null: valid.</returns>
    internal static CertificateException? Problem(X509Certificate2 certificate, X509Certificate2 authority)
    {
        using var chain = new X509Chain { ChainPolicy = Policy(authority) };
        return chain.Build(certificate) ? null : Problem(certificate, chain, authority);
    }

    /// <param name="chain">built under <see cref="Policy"/>, and not valid.</param>
    internal static CertificateException Problem(X509Certificate2 certificate, X509Chain chain, X509Certificate2 authority)
    {
        string whose = Whose(certificate);
        var flags = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, status) => all | status.Status);
        if ((flags & ~X509ChainStatusFlags.NotTimeValid) == 0)
        {
            var late = chain.ChainElements.Select(element => element.Certificate).FirstOrDefault(NotNow, certificate);
            string what = late.Thumbprint == certificate.Thumbprint ? whose : $"{whose}: its authority, {late.Subject},";
            return new CertificateException(ErrorCodes.CertificateExpired, $"{what} {Validity(late)}",
                "have a new one issued, or set the clocks right");
        }

        if ((flags & X509ChainStatusFlags.NotValidForUsage) != 0)
            return new CertificateException(ErrorCodes.CertificateUntrusted, $"{whose} is not made for this side of a connection",
                "operators' certificates serve nobody: have one issued for the node");
        return new CertificateException(
            ErrorCodes.CertificateUntrusted, $"{whose} is of another authority: {certificate.Issuer}, not {authority.Subject}",
            "certificates of one cluster are issued by one authority: have one issued there");
    }

    internal static string Whose(X509Certificate2 certificate) =>
        CertificateIdentity.Read(certificate) is { } identity ? $"the certificate of {identity}" : $"the certificate {certificate.Subject}";

    private static bool NotNow(X509Certificate2 certificate) =>
        DateTime.Now is var now && (now < certificate.NotBefore || now > certificate.NotAfter);

    private static string Validity(X509Certificate2 certificate) => DateTime.Now < certificate.NotBefore
        ? $"is not valid before {certificate.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm} UTC"
        : $"expired at {certificate.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm} UTC";
}
