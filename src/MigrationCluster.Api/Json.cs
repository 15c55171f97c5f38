using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace MigrationCluster.Api;

/// <summary>How this API's JSON is written and read: camelCase, numbers as numbers.</summary>
/// <remarks>Requests come from people: an unknown field is a mistake that must not be swallowed. Replies come from
/// another release's program: N and N-1 talk, so a field not known here is skipped.</remarks>
public static class Json
{
    /// <summary>Unknown fields and missing required ones throw <see cref="JsonException"/>.</summary>
    public static readonly JsonSerializerOptions Requests = Make(JsonUnmappedMemberHandling.Disallow);

    /// <summary>Unknown fields are skipped, missing required ones throw <see cref="JsonException"/>.</summary>
    public static readonly JsonSerializerOptions Replies = Make(JsonUnmappedMemberHandling.Skip);

    private static JsonSerializerOptions Make(JsonUnmappedMemberHandling unknown) => new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = unknown,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        NumberHandling = JsonNumberHandling.Strict,
        // Programs write their own files in this form too: what is not of this API is met by reflection.
        TypeInfoResolver = JsonTypeInfoResolver.Combine(ApiJsonContext.Default, new DefaultJsonTypeInfoResolver()),
    };
}
