using System.Net;

namespace MigrationCluster.Node.Hosting;

/// <summary>Addresses this release listens on and joins: loopback only, as nothing between nodes is sealed yet.</summary>
public static class LoopbackAddress
{
    /// <returns>the end point, or why not.</returns>
    public static (IPEndPoint? EndPoint, string? Refusal) Parse(string text)
    {
        string host = text.StartsWith("localhost:", StringComparison.Ordinal) ? "127.0.0.1" + text["localhost".Length..] : text;
        if (!host.Contains(':', StringComparison.Ordinal) || host.EndsWith(':') || !IPEndPoint.TryParse(host, out var endPoint))
            return (null, $"'{text}' is no address: write it like 127.0.0.1:7101 or [::1]:7101 (port 0: any free port)");
        return IPAddress.IsLoopback(endPoint.Address) ? (endPoint, null) : (null, NotLoopback(text));
    }

    /// <returns>the coordinator's address, or why not.</returns>
    public static (Uri? Address, string? Refusal) ParseUrl(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme != Uri.UriSchemeHttp || url.AbsolutePath != "/")
            return (null, $"'{text}' is no coordinator's address: write it like http://127.0.0.1:7101");
        return url.IsLoopback ? (url, null) : (null, NotLoopback(text));
    }

    private static string NotLoopback(string text) =>
        $"'{text}' is refused: this release talks on loopback only (127.0.0.1 or [::1]), as traffic is not encrypted yet";
}
