using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace MigrationCluster.Api;

/// <summary>How this API's JSON is written and read: camelCase, numbers as numbers. It knows the types of this API and no other.</summary>
/// <remarks>Requests come from people: an unknown field is a mistake that must not be swallowed. Replies come from
/// another release's program: N and N-1 talk, so a field not known here is skipped.</remarks>
public static class Json
{
    /// <summary>Unknown fields and missing required ones throw <see cref="JsonException"/>.</summary>
    public static readonly JsonSerializerOptions Requests = Make(JsonUnmappedMemberHandling.Disallow);

    /// <summary>Unknown fields are skipped, missing required ones throw <see cref="JsonException"/>.</summary>
    public static readonly JsonSerializerOptions Replies = Make(JsonUnmappedMemberHandling.Skip);

    /// <summary>How these options write and read a <typeparamref name="T"/>, without reflection.</summary>
    /// <exception cref="NotSupportedException">their resolver does not know it.</exception>
    public static JsonTypeInfo<T> Of<T>(this JsonSerializerOptions options) => (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T));

    private static JsonSerializerOptions Make(JsonUnmappedMemberHandling unknown) => new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = unknown,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        NumberHandling = JsonNumberHandling.Strict,
        TypeInfoResolver = ApiJsonContext.Default,
    };
}
