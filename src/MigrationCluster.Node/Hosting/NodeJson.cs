using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Node.Hosting;

/// <summary>How the files of a node are written and read: in the form of the API.</summary>
internal static class NodeJson
{
    /// <summary>What people write: an unknown field is a mistake.</summary>
    public static readonly JsonSerializerOptions Strict = new(Api.Json.Requests) { TypeInfoResolver = NodeJsonContext.Default };

    /// <summary>What daemons write, of this release or the one before or after.</summary>
    public static readonly JsonSerializerOptions Indented = new(Api.Json.Replies) { TypeInfoResolver = NodeJsonContext.Default, WriteIndented = true };
}

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(NodeConfig))]
[JsonSerializable(typeof(DirectoryOwner))]
[JsonSerializable(typeof(LaunchSpec))]
[JsonSerializable(typeof(InventoryView))]
internal sealed partial class NodeJsonContext : JsonSerializerContext;
