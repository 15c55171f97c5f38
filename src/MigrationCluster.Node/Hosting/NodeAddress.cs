using System.Net;

namespace MigrationCluster.Node.Hosting;

/// <summary>Addresses as an operator gives them, and which of them will do: beyond loopback nothing goes unsealed.</summary>
public static class NodeAddress
{
    /// <returns>the end point, or why it is none.</returns>
    public static (IPEndPoint? EndPoint, string? Refusal) Parse(string text)
    {
        string host = text.StartsWith("localhost:", StringComparison.Ordinal) ? "127.0.0.1" + text["localhost".Length..] : text;
        return host.Contains(':', StringComparison.Ordinal) && !host.EndsWith(':') && IPEndPoint.TryParse(host, out var endPoint)
            ? (endPoint, null)
            : (null, $"'{text}' is no address: write it like 127.0.0.1:7101 or [::1]:7101 (port 0: any free port)");
    }

    /// <returns>the data plane's end point, or why not.</returns>
    public static (IPEndPoint? EndPoint, string? Refusal) ParseData(string text) => Parse(text) switch
    {
        ({ } endPoint, _) when IsEvery(endPoint.Address) => (null,
            $"'{text}' is every address of this host, and sources are told to connect there: give the one at which other hosts reach it"),
        var parsed => parsed,
    };

    /// <summary>0.0.0.0 and [::]: to listen on, not to be reached at.</summary>
    public static bool IsEvery(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    /// <returns>the coordinator's address, or why it is none.</returns>
    public static (Uri? Address, string? Refusal) ParseUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.AbsolutePath == "/"
            ? (url, null)
            : (null, $"'{text}' is no coordinator's address: write it like http://127.0.0.1:7101, or https:// with --certs");

    /// <returns>host and port (0: the one listened on) that others are told, or why they are none.</returns>
    public static (DnsEndPoint? EndPoint, string? Refusal) ParseAdvertised(string text) =>
        Uri.TryCreate($"https://{text}", UriKind.Absolute, out var url) && url.PathAndQuery == "/" && url.UserInfo.Length == 0
        && url.Host is not ("0.0.0.0" or "[::]")
            ? (new DnsEndPoint(url.Host, url.IsDefaultPort ? 0 : url.Port), null)
            : (null, $"'{text}' is no address others could reach: write it like alpha.example, or 10.0.0.1:7101");

    /// <param name="isSealed">the node has a certificate.</param>
    /// <returns>null: it may listen there.</returns>
    public static string? RefuseListen(IPEndPoint listen, bool isSealed) =>
        isSealed || IPAddress.IsLoopback(listen.Address) ? null : Unsealed(listen.ToString());

    /// <returns>null: it may call there.</returns>
    public static string? RefuseUrl(Uri url, bool isSealed) => (url.Scheme == Uri.UriSchemeHttps, isSealed) switch
    {
        (true, false) => $"'{url.OriginalString}' wants to know who calls: give --certs DIR (`migctl certs issue`)",
        (false, true) => $"'{url.OriginalString}' is refused: with --certs nothing is said unsealed; write https://, and start that node with --certs too",
        (false, false) when !url.IsLoopback => Unsealed(url.OriginalString),
        _ => null,
    };

    private static string Unsealed(string address) =>
        $"'{address}' is refused: without --certs a node talks on loopback only (127.0.0.1 or [::1]); make certificates with `migctl certs init` and `migctl certs issue`";
}
