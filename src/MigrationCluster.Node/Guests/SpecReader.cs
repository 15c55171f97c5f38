using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Guests;

/// <summary>Reads a guest spec and finds everything wrong with it that can be told without a host.</summary>
public static class SpecReader
{
    public const int LeastMemoryMiB = 16;
    public const int MostVcpus = 64;
    public const int MostDevices = 16;
    private const int MostDirtyRateMiBps = 100_000;
    private static readonly string[] Patterns = ["uniform", "hotset", "sequential"];

    public static SpecDraft Read(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return Read(document.RootElement, "$");
        }
        catch (JsonException error)
        {
            string where = error.LineNumber is { } line ? $" at line {line + 1}, byte {error.BytePositionInLine + 1}" : "";
            return new SpecDraft(null, null, null, [], [new Reason(
                ErrorCodes.BadSpec, $"the guest spec is no JSON{where}: {error.Message}", "correct the JSON")]);
        }
    }

    /// <param name="path">where the spec stands in what the operator wrote, e.g. $.spec.</param>
    public static SpecDraft Read(JsonElement element, string path)
    {
        var reasons = new List<Reason>();
        var fields = new JsonFields(element, path, reasons);
        string? name = CheckName(fields, "name", fields.String("name"), "guest name");
        int? memory = fields.Integer("memoryMiB", LeastMemoryMiB, int.MaxValue);
        var vcpus = fields.Object("vcpus") is { } v ? ReadVcpus(new JsonFields(v, $"{path}.vcpus", reasons)) : null;
        var devices = ReadDevices(fields, reasons);
        fields.RefuseOthers();
        CheckTogether(devices, fields);
        var spec = reasons.Count > 0
            ? null
            : new GuestSpec(name!, memory!.Value, vcpus!,
                [.. devices.Select(d => new DeviceSpec(
                    d.Name!, d.Template!, d.PeerToPeer.Count == 0 ? null : d.PeerToPeer, d.Removable))]);
        return new SpecDraft(spec, name, memory, devices, reasons);
    }

    private static VcpuSpec? ReadVcpus(JsonFields fields)
    {
        int? count = fields.Integer("count", 1, MostVcpus);
        string? pattern = fields.String("pattern");
        if (pattern is not null && !Patterns.Contains(pattern))
            fields.Wrong($"{fields.Path}.pattern", $"is '{pattern}'", $"choose {string.Join(", ", Patterns)}");
        int? rate = fields.Integer("dirtyRateMiBps", 0, MostDirtyRateMiBps);
        fields.RefuseOthers();
        return count is null || pattern is null || rate is null ? null : new VcpuSpec(count.Value, pattern, rate.Value);
    }

    private static List<DeviceDraft> ReadDevices(JsonFields guest, List<Reason> reasons)
    {
        var elements = guest.Array("devices");
        if (elements is null) return [];
        if (elements.Count > MostDevices)
            guest.Wrong($"{guest.Path}.devices", $"has {elements.Count} devices", $"give a guest at most {MostDevices}");
        return [.. elements.Select((element, i) => ReadDevice(new JsonFields(element, $"{guest.Path}.devices[{i}]", reasons)))];
    }

    private static DeviceDraft ReadDevice(JsonFields fields)
    {
        string? name = CheckName(fields, "name", fields.String("name"), "device name");
        if (name == DeviceName.Machine.Value)
            fields.Wrong($"{fields.Path}.name", $"is '{name}', which is reserved for the vCPUs", "choose another name");
        string? template = fields.String("template");
        var peers = new List<string>();
        foreach (var (element, i) in (fields.Array("peerToPeer", optional: true) ?? []).Select((e, i) => (e, i)))
            if (element.ValueKind == JsonValueKind.String)
                peers.Add(element.GetString()!);
            else
                fields.Wrong($"{fields.Path}.peerToPeer[{i}]", $"is {JsonFields.Kind(element)}, not a string", "name a device");
        bool removable = fields.Flag("peerToPeerRemovable");
        fields.RefuseOthers();
        return new DeviceDraft(fields.Path, name, template, peers, removable);
    }

    /// <summary>Names must be told apart, and P2P must point at another device of this guest.</summary>
    private static void CheckTogether(List<DeviceDraft> devices, JsonFields guest)
    {
        foreach (var twins in devices.Where(d => d.Name is not null).GroupBy(d => d.Name).Where(g => g.Count() > 1))
            guest.Wrong(
                $"{guest.Path}.devices", $"has {twins.Count()} devices named '{twins.Key}'", "give each device a name of its own");
        foreach (var device in devices)
            foreach (string peer in device.PeerToPeer)
                if (peer == device.Name)
                    guest.Wrong($"{device.Path}.peerToPeer", "names the device itself", "name another device");
                else if (peer.Contains('/', StringComparison.Ordinal))
                    guest.Wrong(
                        $"{device.Path}.peerToPeer", $"names '{peer}', a device of another guest",
                        "remove it: guests migrate apart, so no device may do P2P DMA into another guest's");
                else if (devices.TrueForAll(other => other.Name != peer))
                    guest.Wrong($"{device.Path}.peerToPeer", $"names '{peer}', which is no device of this guest", "name one that is");
    }

    private static string? CheckName(JsonFields fields, string field, string? name, string what)
    {
        if (name is null) return null;
        try
        {
            return GuestName.Parse(name).Value;
        }
        catch (FormatException)
        {
            fields.Wrong(
                $"{fields.Path}.{field}", $"is '{name}', which is no {what}",
                "use 1 to 32 characters of a-z, 0-9 and '-', starting with a letter");
            return null;
        }
    }
}
