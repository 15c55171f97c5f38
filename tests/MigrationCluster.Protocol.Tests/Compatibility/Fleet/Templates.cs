using System.Globalization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Compatibility.Fleet;

/// <summary>Hosts of small fleets, in the words of the stories they are for.</summary>
internal static class Templates
{
    public static HostOffer Host(string name, params ParameterDescriptor[] parameters) => new(new HostName(name),
        DeviceDescriptor.Empty(DescriptorKind.Template) with
        {
            Model = "vendor.org/nic",
            Parameters = parameters,
            StreamFormatsWritten = ["nic/2"],
            StreamFormatsRead = ["nic/1", "nic/2"],
            Capabilities = MigrationCapabilities.StopCopy,
        });

    /// <summary>Before the driver learned stream format 2.</summary>
    public static HostOffer Older(HostOffer host) =>
        host with { Offer = host.Offer! with { StreamFormatsWritten = ["nic/1"], StreamFormatsRead = ["nic/1"] } };

    public static ParameterDescriptor Queues(ulong value, ulong most) => Number("queues", value, 1, most);

    /// <summary>The thread's example: off is no filter at all.</summary>
    public static ParameterDescriptor Filter(ulong value) => Number("rx-filter-size", value, 0, 64);

    public static ParameterDescriptor Offloads(string members) => new(
        "offloads", ParameterType.Set, ParameterComparator.Equal, members, "", SupportedValues.Of(members.Split(',')));

    public static ParameterDescriptor Number(string name, ulong value, ulong least, ulong most) => new(name, ParameterType.Number,
        ParameterComparator.Equal, value.ToString(CultureInfo.InvariantCulture), "0", SupportedValues.Range(least, most));
}
