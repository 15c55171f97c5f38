using System.Globalization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Benchmarks.Compat;

/// <summary>1,000 hosts that offer 8 classes with 20 parameters each, kept as a coordinator keeps them.</summary>
internal static class BenchFleet
{
    internal const int Hosts = 1000, Classes = 8, Parameters = 20;

    private const MigrationCapabilities All = MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;

    /// <summary>Four generations of hardware, each with three driver versions: twelve kinds of host.</summary>
    internal static HostOffers[] Realistic() => Build((host, parameter) => (host % 4, (parameter * 7 + host) % 4) switch
    {
        (0, _) when parameter >= 16 => null, // the oldest does not know them
        (var generation, _) => Number(parameter, generation < 2 ? 0UL : 8UL, 0, generation < 2 ? 8UL : 16UL),
    }, host => host % 12);

    /// <summary>Every host has a configuration of its own: one of sixteen defaults and ranges for each parameter.</summary>
    internal static HostOffers[] AllDiffer() => Build((host, parameter) =>
    {
        uint mixed = Mix(host, parameter);
        return Number(parameter, mixed % 16, 0, 16 + mixed / 16 % 16);
    }, host => host);

    /// <summary>Every value and every range is another on every host, and still every host takes every device.</summary>
    internal static HostOffers[] NothingAlike() => Build((host, parameter) =>
        Number(parameter, 1 + Mix(host, parameter) % 100_000, 0, 100_000 + (ulong)host), host => host);

    internal static IReadOnlyList<HostOffer> Of(this HostOffers[] fleet, int @class) =>
        [.. fleet.Select(host => new HostOffer(host.Host, host.Classes[Class(@class)]))];

    internal static string Class(int number) => $"class{number}";

    private static HostOffers[] Build(Func<int, int, ParameterDescriptor?> parameter, Func<int, int> driver)
    {
        var shared = new SharedParts();
        return [.. Enumerable.Range(0, Hosts).Select(host => new HostOffers(
            new HostName($"host{host}"),
            Enumerable.Range(0, Classes).ToDictionary(Class, @class => shared.Share(Offer(@class, host, driver(host), parameter)))))];
    }

    private static DeviceDescriptor Offer(int @class, int host, int driver, Func<int, int, ParameterDescriptor?> parameter) =>
        DeviceDescriptor.Empty(DescriptorKind.Template) with
        {
            Identity = new DeviceIdentity(0x1af4, (ushort)(0x1040 + @class), 0, 0),
            Regions = [new RegionDescriptor(0, 4096, true, true, false), new RegionDescriptor(7, 256, true, true, false)],
            Interrupts = [new InterruptDescriptor(2, 4)],
            ConfigCapabilities = [5, 17],
            Driver = new DriverDescriptor("bench", $"{driver}"),
            Model = $"bench.example/class{@class}",
            Parameters = [.. Enumerable.Range(0, Parameters).Select(number => parameter(host + @class, number)).OfType<ParameterDescriptor>()],
            InterfaceVersion = new InterfaceVersion(1, driver % 3, driver),
            StreamFormatsWritten = ["bench/1"],
            StreamFormatsRead = ["bench/1", "bench/2"],
            SectionsWritten = [new SectionDescriptor("state", Required: true), new SectionDescriptor($"hint{driver % 2}", Required: false)],
            SectionsRead = ["state", "hint0"],
            Capabilities = All,
        };

    private static ParameterDescriptor Number(int parameter, ulong value, ulong least, ulong most) => new(
        $"parameter{parameter}", ParameterType.Number, ParameterComparator.Equal, value.ToString(CultureInfo.InvariantCulture), "0",
        SupportedValues.Range(least, most));

    private static uint Mix(int host, int parameter)
    {
        uint mixed = ((uint)host * 2654435761u) ^ ((uint)parameter * 2246822519u);
        mixed ^= mixed >> 15;
        mixed *= 2246822519u;
        return mixed ^ (mixed >> 13);
    }
}
