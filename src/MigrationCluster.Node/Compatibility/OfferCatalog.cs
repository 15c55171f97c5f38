using System.Net;
using System.Security.Cryptography;
using System.Text;
using MigrationCluster.DataPlane;
using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Node.Compatibility;

/// <summary>
/// What this host could make for a guest, class by class, and how its data plane talks: its device templates, and the mediated types
/// of its sysfs tree.
/// </summary>
/// <param name="dataPlane">where its data port listens.</param>
public sealed class OfferCatalog(NodeConfig config, IPAddress dataPlane)
{
    private readonly DataPlaneFacts _dataPlane = new(
        DataPlaneWire.Version, TransferOptions.Default.Channels, DataPlaneWire.MaxChannels, IPAddress.IsLoopback(dataPlane));

    private volatile AgentOffers? _last;

    /// <summary>As last read: what a hello tells.</summary>
    public AgentOffers Last => _last ?? Read();

    /// <summary>Reads everything anew.</summary>
    public AgentOffers Read()
    {
        var types = Types();
        var classes = new SortedDictionary<string, DeviceDescriptor>(StringComparer.Ordinal);
        // Of several parents of a type one with a version speaks for it.
        foreach (var type in types.OrderBy(type => type.Descriptor.VersionString is null)) classes.TryAdd(type.Class, type.Descriptor);
        foreach (var (name, template) in config.Templates) classes[name] = TemplateOffer.Of(template);
        var offers = new AgentOffers(
            "", ProductVersion.Text, ExtensionOffer.CurrentVersion, _dataPlane, config.MemoryMiB, classes,
            [.. types.Select(type => type.Class).Where(name => !config.Templates.ContainsKey(name)).Distinct()]);
        byte[] content = SHA256.HashData(Encoding.UTF8.GetBytes(WireJson.Write(offers)));
        return _last = offers with { Digest = Convert.ToHexStringLower(content.AsSpan(0, 8)) };
    }

    /// <summary>Puts a source's opaque version string to this host's own attribute. Of several parents of a type one that takes
    /// it is enough.</summary>
    public VersionAnswer Ask(string @class, string version)
    {
        var answers = Types().Where(type => type.Class == @class && type.Attribute is not null)
            .Select(type => type.Attribute!.Check(version).Answer).ToList();
        return answers.Contains(VersionAnswer.Accepted) ? VersionAnswer.Accepted
            : answers.Contains(VersionAnswer.Refused) ? VersionAnswer.Refused
            : answers.FirstOrDefault();
    }

    private List<SysfsDescriptor> Types() =>
        [.. SysfsDescriptors.Of(new SysfsTree(config.Sysfs).Read()).Where(found => found.Descriptor.Kind == DescriptorKind.Template)];
}
