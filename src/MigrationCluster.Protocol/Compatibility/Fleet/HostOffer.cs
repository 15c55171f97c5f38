using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>What one host could make of one class: a device template's name, or an mdev type.</summary>
/// <param name="Offer">a template as a rule; null: the host cannot make this class.</param>
public sealed record HostOffer(HostName Host, DeviceDescriptor? Offer);

/// <summary>What one host could make, by class.</summary>
public sealed record HostOffers(HostName Host, IReadOnlyDictionary<string, DeviceDescriptor> Classes);

/// <summary>A device of a guest and the class a destination has to make it of.</summary>
public sealed record GuestDevice(string Name, string Class, DeviceDescriptor Device);

/// <summary>What a host's own device answers to a source's opaque version string, for one class; as far as it was asked.</summary>
public delegate VersionAnswer VersionAnswers(string version, HostName destination);
