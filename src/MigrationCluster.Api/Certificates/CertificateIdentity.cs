using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;

namespace MigrationCluster.Api.Certificates;

/// <summary>What the holder of a certificate may ask for on the control plane.</summary>
[Flags]
public enum CertificateRole
{
    /// <summary>May ask coordinators for anything; agents nothing.</summary>
    Operator = 1,

    /// <summary>Serves its host and says hello to coordinators; commands nobody.</summary>
    Node = 2,

    /// <summary>A node that commands agents too, and passes on to other coordinators what operators ask.</summary>
    Coordinator = 4,
}

/// <summary>
/// Whom a certificate is of: one URI among its subject alternative names, <c>mc://operator/NAME</c>, <c>mc://node/NAME</c> or
/// <c>mc://coordinator/NAME</c>. The subject is for people to read; addresses say where a node may be reached, never who it is.
/// </summary>
/// <param name="Name">of the operator, or of the node as its --name says: 1 to 32 characters of a-z, 0-9 and '-', starting with a letter.</param>
public sealed partial record CertificateIdentity(CertificateRole Role, string Name)
{
    public Uri Uri => new($"mc://{RoleName}/{Name}");

    private string RoleName => Role switch
    {
        CertificateRole.Operator => "operator",
        CertificateRole.Node => "node",
        CertificateRole.Coordinator => "coordinator",
        _ => throw new InvalidOperationException($"a certificate has one role, not {Role}"),
    };

    public static bool IsName(string text) => NamePattern().IsMatch(text);

    /// <summary>It is the certificate of the node of that name, whether or not it may coordinate.</summary>
    public bool IsNode(string name) => Role is CertificateRole.Node or CertificateRole.Coordinator && Name == name;

    public override string ToString() => $"{RoleName} {Name}";

    /// <returns>null: it is of nobody known here, or of several at once.</returns>
    public static CertificateIdentity? Read(X509Certificate2 certificate)
    {
        var uris = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(extension => UrisOf(extension.RawData)).Where(uri => uri.StartsWith("mc:", StringComparison.OrdinalIgnoreCase)).ToList();
        if (uris is not [var only] || UriPattern().Match(only) is not { Success: true } match) return null;
        var role = match.Groups[1].Value switch
        {
            "operator" => CertificateRole.Operator,
            "node" => CertificateRole.Node,
            _ => CertificateRole.Coordinator,
        };
        return new CertificateIdentity(role, match.Groups[2].Value);
    }

    /// <summary>RFC 5280, 4.2.1.6: a sequence of GeneralName, of which uniformResourceIdentifier is [6] IA5String.</summary>
    private static List<string> UrisOf(byte[] extension)
    {
        var uri = new Asn1Tag(TagClass.ContextSpecific, 6);
        var uris = new List<string>();
        try
        {
            var names = new AsnReader(extension, AsnEncodingRules.DER).ReadSequence();
            while (names.HasData)
                if (names.PeekTag() == uri) uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, uri));
                else names.ReadEncodedValue();
            return uris;
        }
        catch (AsnContentException)
        {
            return [];
        }
    }

    [GeneratedRegex(@"\Amc://(operator|node|coordinator)/([a-z][a-z0-9-]{0,31})\z")]
    private static partial Regex UriPattern();

    [GeneratedRegex(@"\A[a-z][a-z0-9-]{0,31}\z")]
    private static partial Regex NamePattern();
}
