using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Guest.Vcpus;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Guest.Launch;

/// <summary>Reads and checks <c>launch.json</c>.</summary>
internal static class LaunchFile
{
    public const int MinMemoryMiB = 16;
    private const int MaxMemoryMiB = 4 << 20;
    private const int MaxVcpus = 64;
    private const int MaxDevices = 16;
    private const int MaxDirtyRateMiBps = 100_000;
    private const int MaxSilenceSeconds = 600;

    /// <exception cref="LaunchException">names the file and everything that is wrong with it.</exception>
    public static LaunchSpec Read(string directory)
    {
        string path = Path.Combine(directory, GuestFiles.LaunchSpec);
        LaunchSpec? spec;
        try
        {
            spec = JsonSerializer.Deserialize(File.ReadAllBytes(path), LaunchJsonContext.Default.LaunchSpec);
        }
        catch (JsonException e)
        {
            throw new LaunchException($"{path}: {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LaunchException($"cannot read {path}: {e.Message}");
        }
        if (spec is null) throw new LaunchException($"{path}: a launch spec is not null");
        var wrong = Problems(spec).ToList();
        if (wrong.Count > 0) throw new LaunchException($"{path}: {string.Join("; ", wrong)}");
        return spec with { Devices = [.. spec.Devices.Select(Expand)] };
    }

    /// <summary>From here on a version is the parameters it stands for.</summary>
    private static LaunchDevice Expand(LaunchDevice device) => device.Model is not { } model ? device
        : device with { Version = null, Parameters = DeviceModels.Expand(model, device.Version, device.Parameters) };

    private static IEnumerable<string> Problems(LaunchSpec spec)
    {
        if (NameProblem(GuestName.Parse, spec.Guest) is { } guest) yield return guest;
        if (OutOfRange("memoryMiB", spec.MemoryMiB, MinMemoryMiB, MaxMemoryMiB) is { } memory) yield return memory;
        if (OutOfRange("vcpus.count", spec.Vcpus.Count, 1, MaxVcpus) is { } count) yield return count;
        if (OutOfRange("vcpus.dirtyRateMiBps", spec.Vcpus.DirtyRateMiBps, 0, MaxDirtyRateMiBps) is { } rate) yield return rate;
        if (spec.SilenceSeconds is { } silence && OutOfRange("silenceSeconds", silence, 1, MaxSilenceSeconds) is { } patience) yield return patience;
        if (!AccessPatterns.Names.Contains(spec.Vcpus.Pattern))
            yield return $"vcpus.pattern is '{spec.Vcpus.Pattern}', not one of {string.Join(", ", AccessPatterns.Names)}";
        if (spec.Devices.Count > MaxDevices) yield return $"{spec.Devices.Count} devices are more than {MaxDevices}";

        var seen = new HashSet<string>();
        foreach (var device in spec.Devices)
        {
            if (NameProblem(DeviceName.Parse, device.Name) is { } name) yield return name;
            if (device.Name == DeviceName.Machine.Value) yield return $"device name '{device.Name}' is the machine's own";
            if (!seen.Add(device.Name)) yield return $"there are two devices '{device.Name}'";
            if (DeviceTemplates.Problem(device.Model, device.Version, device.Parameters, device.Command, device.Vfio is not null) is { } problem)
                yield return $"device '{device.Name}': {problem}";
            foreach (string peer in PeerProblems(spec, device)) yield return $"device '{device.Name}': {peer}";
        }
        if (spec.MemoryMiB is >= MinMemoryMiB and <= MaxMemoryMiB && GuestMap.Problem(spec) is { } map) yield return map;
    }

    private static IEnumerable<string> PeerProblems(LaunchSpec spec, LaunchDevice device)
    {
        if (device.PeerToPeer.Count > 0 && device.Model is not ("net" or "legacy"))
            yield return $"a {device.Kind} device starts no P2P DMA";
        if (device.PeerToPeer.Count > 1) yield return $"a {device.Kind} device does P2P DMA into one peer at most";
        foreach (string name in device.PeerToPeer)
        {
            var peer = spec.Devices.FirstOrDefault(other => other.Name == name);
            if (peer is null) yield return $"P2P peer '{name}' is no device of this guest";
            else if (peer.Model != "gpu") yield return $"P2P peer '{name}' is a {peer.Kind} device, which takes no P2P DMA";
        }
    }

    private static string? NameProblem<T>(Func<string, T> parse, string name)
    {
        try
        {
            parse(name);
            return null;
        }
        catch (FormatException e)
        {
            return e.Message;
        }
    }

    private static string? OutOfRange(string what, int value, int least, int most) =>
        value < least || value > most ? $"{what} is {value}, outside {least}..{most}" : null;
}

/// <summary>The launch spec cannot be used.</summary>
internal sealed class LaunchException(string message) : Exception(message);

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, WriteIndented = true)]
[JsonSerializable(typeof(LaunchSpec))]
internal sealed partial class LaunchJsonContext : JsonSerializerContext;
