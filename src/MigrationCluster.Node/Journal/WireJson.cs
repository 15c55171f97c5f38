using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Api;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Journal;

/// <summary>
/// How commands and events of the Protocol families are written: in journals and between agent and coordinator. Names and
/// numbers of identities are plain strings and numbers, enums are names, times are ISO 8601.
/// </summary>
/// <remarks>A field not known here is skipped (N and N-1 talk); a required one that is missing is an error.</remarks>
public static class WireJson
{
    public static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        AllowOutOfOrderMetadataProperties = true,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        NumberHandling = JsonNumberHandling.Strict,
        TypeInfoResolver = WireJsonContext.Default,
        Converters =
        {
            new Text<GuestName>(text => GuestName.Parse(text), name => name.Value),
            new Text<HostName>(text => HostName.Parse(text), name => name.Value),
            new Text<DeviceName>(text => DeviceName.Parse(text), name => name.Value),
            new Text<MigrationId>(text => new MigrationId(text), id => id.Value),
            new Number<Epoch>(value => new Epoch(value), epoch => epoch.Value),
            new Number<Term>(value => new Term(value), term => term.Value),
        },
    };

    public static string Write<T>(T value) => JsonSerializer.Serialize(value, Options.Of<T>());

    /// <exception cref="JsonException">no <typeparamref name="T"/>; says where.</exception>
    public static T Read<T>(string json) =>
        JsonSerializer.Deserialize(json, Options.Of<T>()) ?? throw new JsonException($"null is no {typeof(T).Name}");

    private sealed class Text<T>(Func<string, T> parse, Func<T, string> format) : JsonConverter<T>
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType != JsonTokenType.String) throw new JsonException($"a {typeof(T).Name} is a string");
            try
            {
                return parse(reader.GetString()!);
            }
            catch (FormatException error)
            {
                throw new JsonException(error.Message, error);
            }
        }

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            writer.WriteStringValue(format(value));
    }

    private sealed class Number<T>(Func<ulong, T> make, Func<T, ulong> number) : JsonConverter<T>
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Number && reader.TryGetUInt64(out ulong read)
                ? make(read)
                : throw new JsonException(string.Create(CultureInfo.InvariantCulture, $"{typeof(T).Name} is a whole number"));

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            writer.WriteNumberValue(number(value));
    }
}
