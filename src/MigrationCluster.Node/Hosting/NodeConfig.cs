using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Devices.Emulated;

namespace MigrationCluster.Node.Hosting;

/// <summary>A node's configuration file.</summary>
/// <param name="MemoryMiB">guest RAM this host gives to all its guests together.</param>
/// <param name="Templates">what a guest spec may name, by name.</param>
public sealed record NodeConfig(int MemoryMiB, IReadOnlyDictionary<string, DeviceTemplate> Templates)
{
    /// <exception cref="StartRefusedException">names the file, the line and the field.</exception>
    public static NodeConfig Load(string path)
    {
        byte[] json;
        try
        {
            json = File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new StartRefusedException($"cannot read configuration file {path}: {error.Message}", inner: error);
        }

        var config = Parse(path, json);
        var wrong = config.Check();
        return wrong.Count == 0
            ? config
            : throw new StartRefusedException($"configuration file {path}: {string.Join("; ", wrong)}");
    }

    private static NodeConfig Parse(string path, byte[] json)
    {
        try
        {
            return JsonSerializer.Deserialize<NodeConfig>(json, Json.Requests)
                ?? throw new StartRefusedException($"configuration file {path} holds null, not a configuration");
        }
        catch (JsonException error)
        {
            string line = error.LineNumber is { } number ? $" line {number + 1}" : "";
            throw new StartRefusedException($"configuration file {path}{line}: {JsonErrors.Describe(error)}", inner: error);
        }
    }

    private List<string> Check()
    {
        var wrong = new List<string>();
        if (MemoryMiB < 16) wrong.Add($"memoryMiB is {MemoryMiB}; a host gives its guests at least 16 MiB");
        foreach (var (name, template) in Templates)
        {
            try
            {
                DeviceModels.Check(template.Model, template.Parameters ?? DeviceTemplate.NoParameters);
            }
            catch (ModelParameterException error)
            {
                wrong.Add($"templates.{name}: {error.Message}");
            }
        }

        return wrong;
    }
}

/// <param name="Model">a device model: net, gpu, serial.</param>
/// <param name="Parameters">of the model; an absent one has its default.</param>
public sealed record DeviceTemplate(string Model, IReadOnlyDictionary<string, string>? Parameters = null)
{
    internal static readonly IReadOnlyDictionary<string, string> NoParameters = new Dictionary<string, string>();
}
