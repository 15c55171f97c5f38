using System.Buffers.Binary;
using System.Text.Json;

namespace MigrationCluster.Protocol.VfioUser;

/// <summary>What one side says of itself in VERSION. Absent values are the standard's defaults.</summary>
/// <param name="MaxMessageFds">descriptors that one message to this side may carry.</param>
/// <param name="MaxDataTransferBytes">data bytes that one message to this side may carry.</param>
/// <param name="TwinSocket">client: asks for one; server: grants one.</param>
/// <param name="TwinFdIndex">server: which descriptor of the reply is the twin socket.</param>
/// <param name="MigrationPageSizeBytes">libvfio-user's own: set when the device is migratable.</param>
/// <param name="Extension">our extension, null: not spoken.</param>
public sealed record VersionCapabilities(
    int MaxMessageFds = 1,
    int MaxDataTransferBytes = 1 << 20,
    bool TwinSocket = false,
    int? TwinFdIndex = null,
    int? MigrationPageSizeBytes = null,
    ExtensionOffer? Extension = null);

/// <summary>Our extension in VERSION: <c>"migrationcluster":{"version":3,"serves":"device"}</c>.</summary>
/// <param name="Version">both sides speak exactly this one.</param>
/// <param name="Serves">what the server is; a client says <see cref="ServedKind.Device"/>, the least.</param>
public sealed record ExtensionOffer(int Version, ServedKind Serves)
{
    public const int CurrentVersion = 3;
}

/// <summary>How much of the extension a server serves; each kind includes the one before.</summary>
public enum ServedKind
{
    /// <summary>A plain device: reasons in error replies, large writes, initial and dirty bytes, what it is.</summary>
    Device = 1,

    /// <summary>A device of a guest: sessions, setup records, retained streams and dirty reports, digests.</summary>
    Endpoint = 2,

    /// <summary>The machine: memory layout, fence and votes as well.</summary>
    Machine = 3,
}

/// <summary>VERSION: <c>u16 major, u16 minor, char json[]</c>, NUL-terminated; the text may be left out.</summary>
public static class VersionMessage
{
    public const ushort Major = 0;

    /// <summary>The newest minor version this project answers with; a reply never exceeds what was asked.</summary>
    public const ushort Minor = 2;

    private const int HeadSize = 4;

    public static byte[] Write(ushort minor, VersionCapabilities capabilities)
    {
        using var stream = new MemoryStream();
        Span<byte> head = stackalloc byte[HeadSize];
        BinaryPrimitives.WriteUInt16LittleEndian(head, Major);
        BinaryPrimitives.WriteUInt16LittleEndian(head[2..], minor);
        stream.Write(head);
        using (var json = new Utf8JsonWriter(stream)) WriteJson(json, capabilities);
        stream.WriteByte(0);
        return stream.ToArray();
    }

    /// <returns>false: another major version, no NUL at the end, no JSON or a value of the wrong type; the
    /// reason names it.</returns>
    public static bool TryRead(
        ReadOnlySpan<byte> body, out ushort minor, out VersionCapabilities capabilities, out string? reason)
    {
        capabilities = new VersionCapabilities();
        minor = 0;
        reason = null;
        if (body.Length < HeadSize) return Fail($"VERSION of {body.Length} bytes", out reason);
        ushort major = BinaryPrimitives.ReadUInt16LittleEndian(body);
        minor = BinaryPrimitives.ReadUInt16LittleEndian(body[2..]);
        if (major != Major) return Fail($"major version {major}, only {Major} is spoken", out reason);
        if (body.Length == HeadSize) return true;
        if (body[^1] != 0) return Fail("VERSION text does not end in NUL", out reason);
        try
        {
            using var document = JsonDocument.Parse(body[HeadSize..^1].TrimEnd((byte)0).ToArray());
            capabilities = ReadJson(document.RootElement);
            return true;
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            return Fail($"VERSION text: {e.Message}", out reason);
        }
    }

    private static bool Fail(string what, out string reason)
    {
        reason = what;
        return false;
    }

    private static void WriteJson(Utf8JsonWriter json, VersionCapabilities capabilities)
    {
        json.WriteStartObject();
        json.WriteStartObject("capabilities");
        json.WriteNumber("max_msg_fds", capabilities.MaxMessageFds);
        json.WriteNumber("max_data_xfer_size", capabilities.MaxDataTransferBytes);
        if (capabilities.MigrationPageSizeBytes is { } pageSize)
        {
            json.WriteStartObject("migration");
            json.WriteNumber("pgsize", pageSize);
            json.WriteEndObject();
        }
        if (capabilities.TwinSocket)
        {
            json.WriteStartObject("twin_socket");
            json.WriteBoolean("supported", true);
            if (capabilities.TwinFdIndex is { } index) json.WriteNumber("fd_index", index);
            json.WriteEndObject();
        }
        if (capabilities.Extension is { } extension)
        {
            json.WriteStartObject("migrationcluster");
            json.WriteNumber("version", extension.Version);
            json.WriteString("serves", NameOf(extension.Serves));
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static VersionCapabilities ReadJson(JsonElement root)
    {
        var result = new VersionCapabilities();
        if (!TryGet(root, "capabilities", out var all)) return result;
        if (TryGet(all, "max_msg_fds", out var fds)) result = result with { MaxMessageFds = Count(fds) };
        if (TryGet(all, "max_data_xfer_size", out var size)) result = result with { MaxDataTransferBytes = Count(size) };
        if (TryGet(all, "migration", out var migration) && TryGet(migration, "pgsize", out var pageSize))
            result = result with { MigrationPageSizeBytes = Count(pageSize) };
        if (TryGet(all, "twin_socket", out var twin) && TryGet(twin, "supported", out var supported))
            result = result with
            {
                TwinSocket = supported.GetBoolean(),
                TwinFdIndex = TryGet(twin, "fd_index", out var index) ? Count(index) : null,
            };
        if (TryGet(all, "migrationcluster", out var ours) && TryGet(ours, "version", out var version))
            result = result with { Extension = new ExtensionOffer(Count(version), ReadKind(ours)) };
        return result;
    }

    private static ServedKind ReadKind(JsonElement extension) =>
        !TryGet(extension, "serves", out var kind) ? ServedKind.Device : kind.GetString() switch
        {
            "endpoint" => ServedKind.Endpoint,
            "machine" => ServedKind.Machine,
            _ => ServedKind.Device,
        };

    private static string NameOf(ServedKind kind) => kind switch
    {
        ServedKind.Endpoint => "endpoint",
        ServedKind.Machine => "machine",
        _ => "device",
    };

    /// <summary>A missing value is its default; a parent of another type is an error of the peer.</summary>
    private static bool TryGet(JsonElement parent, string name, out JsonElement value) =>
        parent.TryGetProperty(name, out value);

    private static int Count(JsonElement value) =>
        value.GetInt64() is var count and >= 0 and <= int.MaxValue
            ? (int)count
            : throw new FormatException($"{value.GetRawText()} is out of range");
}
