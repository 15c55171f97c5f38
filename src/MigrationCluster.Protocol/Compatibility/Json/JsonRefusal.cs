namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>Why a text is no descriptor.</summary>
/// <param name="Code">stable: json.too-long, json.not-utf8, json.malformed, json.too-deep, json.too-many, json.duplicate, json.missing,
/// json.null, json.wrong-type, json.out-of-range, json.unknown-value or json.bad-text.</param>
/// <param name="Path">the place, e.g. $.parameters[3].name.</param>
/// <param name="What">what is wrong there.</param>
public sealed record JsonRefusal(string Code, string Path, string What)
{
    public override string ToString() => $"{Path}: {What} ({Code})";
}
