using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.DataPlane;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Node.Hosting;

/// <summary>A node's configuration file.</summary>
/// <param name="MemoryMiB">guest RAM this host gives to all its guests together.</param>
/// <param name="Templates">what a guest spec may name, by name.</param>
/// <param name="Sysfs">root of the tree that mediated device types are read from.</param>
/// <param name="ReconnectSeconds">how long a transfer of pre-copy goes without a connection before it is given up.</param>
/// <param name="IncomingExpirySeconds">how long an incoming guest that is not verified is kept when neither a coordinator nor its source is
/// heard of.</param>
/// <param name="SilenceSeconds">how long another host may leave a connection or a ping unanswered before it counts as away, and a running guest a
/// question how it is; of what takes longer anyway, the least that it is given. More where processors are emulated or shared by many.</param>
/// <param name="Bandwidth">of all outgoing transfers together, as <see cref="Api.Bandwidth"/> reads it; it may be changed while the daemon runs.</param>
public sealed record NodeConfig(
    int MemoryMiB, IReadOnlyDictionary<string, DeviceTemplate> Templates, string Sysfs = "/sys", int ReconnectSeconds = 60,
    int IncomingExpirySeconds = 120, int SilenceSeconds = 2, string Bandwidth = Api.Bandwidth.Unlimited)
{
    /// <summary>Null: no limit.</summary>
    internal long? MaxBytesPerSecond => Api.Bandwidth.TryRead(Bandwidth, out long? limit) ? limit : null;

    internal TimeSpan IncomingExpiry => TimeSpan.FromSeconds(IncomingExpirySeconds);

    internal TimeSpan Silence => TimeSpan.FromSeconds(SilenceSeconds);

    internal TransferOptions Transfer => TransferOptions.Default with
    {
        ReconnectLimit = TimeSpan.FromSeconds(ReconnectSeconds),
        HandshakeTimeout = AtLeastSilence(TransferOptions.Default.HandshakeTimeout),
    };

    internal TimeSpan AtLeastSilence(TimeSpan limit) => limit > Silence ? limit : Silence;

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
            return JsonSerializer.Deserialize(json, NodeJson.Strict.Of<NodeConfig>())
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
        if (ReconnectSeconds is < 1 or > 3600) wrong.Add($"reconnectSeconds is {ReconnectSeconds}; it is 1 to 3600");
        if (IncomingExpirySeconds < ReconnectSeconds || IncomingExpirySeconds > 86_400)
            wrong.Add($"incomingExpirySeconds is {IncomingExpirySeconds}; it is reconnectSeconds ({ReconnectSeconds}) to 86400");
        if (SilenceSeconds is < 1 or > 600) wrong.Add($"silenceSeconds is {SilenceSeconds}; it is 1 to 600");
        if (!Api.Bandwidth.TryRead(Bandwidth, out long? limit)) wrong.Add($"bandwidth is {Bandwidth}; it is {Api.Bandwidth.Form}");
        else if (!Api.Bandwidth.IsInRange(limit)) wrong.Add($"bandwidth is {Bandwidth}; it is {Api.Bandwidth.Range}");
        foreach (var (name, template) in Templates)
        {
            if (template.Problem() is { } problem) wrong.Add($"templates.{name}: {problem}");
        }

        return wrong;
    }
}

/// <param name="Model">a device model: net, gpu, serial; null: <paramref name="Command"/> serves the device.</param>
/// <param name="Parameters">of the model; an absent one is off.</param>
/// <param name="Version">a version of the model, an alias of parameter values; explicit <paramref name="Parameters"/> win.</param>
/// <param name="Command">a vfio-user server to start instead of a model, as in <see cref="LaunchDevice.Command"/>.</param>
/// <param name="Vfio">a device of this host's kernel instead of a model.</param>
public sealed record DeviceTemplate(
    string? Model = null, IReadOnlyDictionary<string, string>? Parameters = null, string? Version = null,
    IReadOnlyList<string>? Command = null, KernelTemplate? Vfio = null)
{
    internal static readonly IReadOnlyDictionary<string, string> NoParameters = new Dictionary<string, string>();

    internal string? Problem() =>
        DeviceTemplates.Problem(Model, Version, Parameters ?? NoParameters, Command, Vfio is not null) ?? Vfio?.Problem();
}

/// <param name="Type">a mediated type, e.g. mtty-2: a device of it is created for each launch, and removed when that has ended.</param>
/// <param name="Parent">the device it is created from, by its name in class/mdev_bus; null: any that has an instance left.</param>
/// <param name="Device">instead of a type, a device that exists: UUID of a mediated device, or address of a PCI function. One guest at a time has it.</param>
public sealed record KernelTemplate(string? Type = null, string? Parent = null, string? Device = null)
{
    internal string? Problem() =>
        Type is null == Device is null ? "vfio has either a type, of which devices are created, or a device that exists"
        : Device is not null && Parent is not null ? "vfio.parent is a type's; a device that exists has its parent"
        : (Type ?? Parent) is { } name && (name.Contains('/', StringComparison.Ordinal) || name is "" or "." or "..") ? $"vfio names '{name}', which is no name in sysfs"
        : null;
}
