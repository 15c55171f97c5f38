using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Node.Guests;

namespace MigrationCluster.Node.Cluster;

/// <summary>A <see cref="StartGuestRequest"/> as the operator wrote it, as far as it could be read.</summary>
/// <param name="Host">null when it could not be read.</param>
/// <param name="SpecJson">the spec's own text; null when there is none.</param>
/// <param name="Reasons">everything wrong with the request and its spec.</param>
public sealed record StartRequest(string? Host, string? SpecJson, SpecDraft? Draft, IReadOnlyList<Reason> Reasons)
{
    public static StartRequest Read(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var reasons = new List<Reason>();
            var fields = new JsonFields(document.RootElement, "$", reasons);
            string? host = fields.String("host");
            var spec = fields.Object("spec");
            fields.RefuseOthers();
            var draft = spec is { } given ? SpecReader.Read(given, "$.spec") : null;
            return new StartRequest(host, spec?.GetRawText(), draft, [.. reasons, .. draft?.Reasons ?? []]);
        }
        catch (JsonException error)
        {
            return new StartRequest(null, null, null, [new Reason(
                ErrorCodes.BadSpec,
                $"no JSON at line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}: {error.Message}",
                "correct the JSON")]);
        }
    }
}
