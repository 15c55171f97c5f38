using System.Text;
using MigrationCluster.Devices.Native;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>
/// The opaque version of mediated devices ("vfio/mdev: add version field as mandatory attribute for mdev device", 2019):
/// read on the source, written to the destination's attribute, whose driver says whether it could load that state.
/// </summary>
/// <remarks>
/// The string is the vendor's; it is never parsed here, and a check changes nothing on the destination. Every write in the
/// scheme is a shell's echo of what cat showed, so the question is the string and one newline in one write(2), and a yes is
/// that many bytes taken. In sysfs no driver runs before the file is open: an errno of open(2) other than "no such
/// attribute" is not the driver's answer.
/// </remarks>
public sealed class VersionAttribute
{
    private readonly string _directory;

    private VersionAttribute(string directory) => _directory = directory;

    /// <summary>mdev_supported_types/&lt;type&gt;/version: asks for a device that could be created.</summary>
    public static VersionAttribute Of(MdevType type) => new(type.Path);

    /// <summary>&lt;uuid&gt;/mdev_type/version: asks for a device that exists.</summary>
    public static VersionAttribute Of(MdevDevice device) => new($"{device.Path}/mdev_type");

    internal static VersionAttribute Of(SysfsDirectory typeDirectory) => new(typeDirectory.Path);

    public string Path => $"{_directory}/version";

    /// <summary>What the device says of itself.</summary>
    public VersionReading Read()
    {
        var result = AttributeFile.Read(Path, SysfsDirectory.MaxAttributeBytes + 1);
        if (result.Failed)
            return Unmigratable(result) is { } why
                ? new VersionReading.NotMigratable(result.ErrnoName, why)
                : new VersionReading.Unknown(Unopened(result));
        if (!SysfsDirectory.TryDecode(result.Content, out string text, out string problem))
            return new VersionReading.Unknown($"{Path} {problem}");
        return text.Length > 0 ? new VersionReading.Known(text) : new VersionReading.Unknown($"{Path} is empty");
    }

    /// <summary>Asks this destination whether it would take the state of a source that shows this version.</summary>
    public VersionCheck Check(string sourceVersion)
    {
        byte[] question = Encoding.UTF8.GetBytes(sourceVersion + '\n');
        var result = AttributeFile.Write(Path, question, out int written);
        if (!result.Failed)
            return written == question.Length
                ? new VersionCheck.Compatible()
                : new VersionCheck.PartlyTaken(written, question.Length);
        if (Unmigratable(result) is not { } why) return new VersionCheck.Unknown(Unopened(result));
        // A device that never migrates answers an errno to reading too; one that refuses this string shows its own.
        return result.IsMissing || Read() is VersionReading.NotMigratable
            ? new VersionCheck.NotMigratable(result.ErrnoName, why)
            : new VersionCheck.Refused(
                result.ErrnoName, $"{Path} answers {result.ErrnoText} to '{SysfsDirectory.Shortened(sourceVersion)}'");
    }

    private string? Unmigratable(AttributeResult result)
    {
        if (result.Step == AttributeStep.Transfer) return $"{Path} answers {result.ErrnoText}";
        return result.IsMissing && Directory.Exists(_directory) ? $"there is no {Path}" : null;
    }

    private string Unopened(AttributeResult result) => $"{Path} cannot be opened: {result.ErrnoText}";
}
