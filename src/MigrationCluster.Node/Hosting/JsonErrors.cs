using System.Text.Json;
using System.Text.RegularExpressions;

namespace MigrationCluster.Node.Hosting;

/// <summary>Says what is wrong with a piece of JSON to a person who does not know our types.</summary>
public static partial class JsonErrors
{
    /// <returns>one sentence with the JSON path.</returns>
    public static string Describe(JsonException error)
    {
        string path = error.Path is { Length: > 0 } known ? known : "$";
        if (UnknownField().Match(error.Message) is { Success: true } unknown)
            return $"unknown field '{unknown.Groups[1].Value}' at {path}";
        if (MissingFields().Match(error.Message) is { Success: true } missing)
            return $"missing at {path}: {missing.Groups[1].Value}";
        if (error.InnerException is { } inner && WrongToken().Match(inner.Message) is { Success: true } token)
            return $"wrong type at {path}: a {token.Groups[1].Value.ToLowerInvariant()}, expected a {token.Groups[2].Value}";
        if (WrongType().Match(error.Message) is { Success: true } type)
            return $"wrong type at {path}: expected {TypeName(type.Groups[1].Value)}";
        return $"malformed at {path}: {FirstSentence(error.Message)}";
    }

    private static string TypeName(string type) => type switch
    {
        "System.Int32" or "System.Int64" or "System.UInt64" => "a whole number",
        "System.String" => "a string",
        "System.Boolean" => "true or false",
        _ when type.Contains("Dictionary", StringComparison.Ordinal) => "an object",
        _ when type.Contains("List", StringComparison.Ordinal) => "an array",
        _ => "an object",
    };

    private static string FirstSentence(string message) =>
        message.IndexOf(" Path: ", StringComparison.Ordinal) is > 0 and var end ? message[..end] : message;

    [GeneratedRegex("^The JSON property '([^']+)' could not be mapped")]
    private static partial Regex UnknownField();

    [GeneratedRegex("was missing required properties including: (.+?)\\.(?: Path|$)")]
    private static partial Regex MissingFields();

    [GeneratedRegex("token type '([^']+)' as a ([a-z]+)")]
    private static partial Regex WrongToken();

    [GeneratedRegex("could not be converted to ([^ ]+?)\\.(?: Path|$)")]
    private static partial Regex WrongType();
}
