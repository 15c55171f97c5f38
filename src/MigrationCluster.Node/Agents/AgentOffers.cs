using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>What a host could make and how it talks: all that placement asks of it. A coordinator keeps it.</summary>
/// <param name="Digest">of all the rest: every hello carries it, so that it is fetched only when it has changed.</param>
/// <param name="ProductVersion">shown, never compared.</param>
/// <param name="ExtensionVersion">of the vfio-user extension that its daemon and guest processes speak with each other.</param>
/// <param name="DataPlane">null: not told.</param>
/// <param name="Classes">by what a guest spec asks for: a device template's name, or a mediated type's.</param>
/// <param name="VersionClasses">those whose own attribute judges opaque version strings (<see cref="VersionOrder"/>).</param>
public sealed record AgentOffers(
    string Digest,
    string ProductVersion,
    int ExtensionVersion,
    DataPlaneFacts? DataPlane,
    int MemoryMiB,
    IReadOnlyDictionary<string, DeviceDescriptor> Classes,
    IReadOnlyList<string>? VersionClasses = null)
{
    /// <summary>Of a host whose release does not tell: it may make every class, and nothing is known of what it would be.</summary>
    public static AgentOffers Untold(IEnumerable<string> classes) => new(
        "", "unknown", 0, null, 0, classes.Distinct().ToDictionary(name => name, _ => DeviceDescriptor.Empty(DescriptorKind.Template)));
}

/// <summary>Asks a host whether its own device of a class would take the state of a source with this opaque version string.</summary>
public sealed record VersionOrder(string Class, string Version);

public sealed record VersionReply(VersionAnswer Answer);

/// <summary>Setup records of a running guest's devices, read without disturbing it.</summary>
/// <param name="Records">of the devices that answered, the machine among them.</param>
/// <param name="Unanswered">one for each device that did not.</param>
public sealed record GuestSetup(IReadOnlyList<SetupRecord> Records, IReadOnlyList<Refusal> Unanswered);
