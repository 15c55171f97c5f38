using System.Buffers.Binary;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>What a function's configuration space says of its shape: its capability lists in list order and its interrupts
/// (PCI Express Base 7.5 to 7.7).</summary>
/// <param name="SizeBytes">64 when read without privilege, else 256 or 4096.</param>
/// <param name="Standard">ids of 8 bits, from the pointer at 0x34.</param>
/// <param name="Extended">ids of 16 bits, from 0x100.</param>
/// <param name="HasInterruptPin">it may raise INTx.</param>
/// <param name="MsiVectors">0: no MSI.</param>
/// <param name="MsiXVectors">0: no MSI-X.</param>
public sealed record PciConfigSpace(
    int SizeBytes,
    IReadOnlyList<PciCapability> Standard,
    IReadOnlyList<PciCapability> Extended,
    bool HasInterruptPin,
    int MsiVectors,
    int MsiXVectors)
{
    public const int MaxBytes = 4096;

    /// <summary>Added to an extended capability's id where both kinds stand in one list: their ids overlap.</summary>
    public const int ExtendedIdBase = 0x10000;

    internal const int HeaderBytes = 64;
    internal const int StandardBytes = 256;
    private const int StatusAt = 0x06;
    private const int HeaderTypeAt = 0x0e;
    private const int PointerAt = 0x34;
    private const int CardBusPointerAt = 0x14;
    private const int InterruptPinAt = 0x3d;
    private const int HasCapabilities = 0x10;
    private const int CardBus = 2;
    private const int Msi = 0x05;
    private const int PciExpress = 0x10;
    private const int MsiX = 0x11;

    public bool IsPciExpress => Standard.Any(capability => capability.Id == PciExpress);

    /// <summary>All ids in list order, the extended ones last and with <see cref="ExtendedIdBase"/>.</summary>
    public IReadOnlyList<int> CapabilityIds =>
        [.. Standard.Select(capability => capability.Id), .. Extended.Select(capability => ExtendedIdBase + capability.Id)];

    /// <returns>null: it is not whole, and <paramref name="problem"/> says where.</returns>
    public static PciConfigSpace? Parse(ReadOnlySpan<byte> config, out string? problem)
    {
        problem = null;
        if (config.Length < HeaderBytes)
        {
            problem = $"has {config.Length} bytes, a header has {HeaderBytes}";
            return null;
        }
        var standard = ParseStandard(config, ref problem);
        var extended = ParseExtended(config, ref problem);
        if (problem is not null) return null;
        return new PciConfigSpace(
            config.Length, standard, extended, config[InterruptPinAt] != 0,
            Control(config, standard, Msi) is { } msi ? 1 << ((msi >> 1) & 7) : 0,
            Control(config, standard, MsiX) is { } msiX ? (msiX & 0x7ff) + 1 : 0);
    }

    private static List<PciCapability> ParseStandard(ReadOnlySpan<byte> config, ref string? problem)
    {
        var found = new List<PciCapability>();
        if ((config[StatusAt] & HasCapabilities) == 0) return found;
        // The two low bits of every pointer are reserved.
        int at = config[(config[HeaderTypeAt] & 0x7f) == CardBus ? CardBusPointerAt : PointerAt] & 0xfc;
        while (at != 0)
        {
            if (!Continues(found, at, HeaderBytes, Math.Min(config.Length, StandardBytes), "capability", ref problem)) break;
            found.Add(new PciCapability(config[at], at));
            at = config[at + 1] & 0xfc;
        }
        return found;
    }

    private static List<PciCapability> ParseExtended(ReadOnlySpan<byte> config, ref string? problem)
    {
        var found = new List<PciCapability>();
        int at = config.Length > StandardBytes ? StandardBytes : 0;
        while (at != 0)
        {
            if (!Continues(found, at, StandardBytes, config.Length, "extended capability", ref problem)) break;
            uint head = BinaryPrimitives.ReadUInt32LittleEndian(config[at..]);
            // A function without extended capabilities has zeros there, or ones where nothing decodes them.
            if (at == StandardBytes && head is 0 or uint.MaxValue) break;
            found.Add(new PciCapability((int)(head & 0xffff), at));
            at = (int)(head >> 20) & 0xffc;
        }
        return found;
    }

    private static bool Continues(
        List<PciCapability> found, int at, int from, int end, string kind, ref string? problem)
    {
        if (at < from || at + 4 > end)
            problem ??= $"its {kind} list points to 0x{at:x}, outside 0x{from:x} to 0x{end:x}";
        else if (found.Exists(capability => capability.Offset == at))
            problem ??= $"its {kind} list comes back to 0x{at:x}";
        else
            return true;
        return false;
    }

    /// <returns>a capability's message control word; null: there is no such capability.</returns>
    private static int? Control(ReadOnlySpan<byte> config, List<PciCapability> capabilities, int id) =>
        capabilities.Find(capability => capability.Id == id) is { } found
            ? BinaryPrimitives.ReadUInt16LittleEndian(config[(found.Offset + 2)..])
            : null;
}
