using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Compatibility.Fleet;

/// <summary>Offers of one class that differ in everything a descriptor can say, mostly a little and sometimes oddly.</summary>
internal sealed class RandomOffers(int seed)
{
    private static readonly string[] Names = ["queues", "filter", "speed", "offloads", "mtu", "x"];
    private readonly Random _random = new(seed);

    /// <summary>Whether odd things are few enough that much is compatible.</summary>
    private readonly int _oddity = seed % 3 == 0 ? 3 : 12;

    public HostOffer[] Hosts(int count, DescriptorKind kind = DescriptorKind.Template) =>
        [.. Enumerable.Range(0, count).Select(i => new HostOffer(new HostName($"h{i}"), Odd(12) ? null : Offer(kind)))];

    public DeviceDescriptor Offer(DescriptorKind kind) => DeviceDescriptor.Empty(kind) with
    {
        Identity = Odd() ? Pick(null, new DeviceIdentity(0x8086, 2, 0, 0)) : new DeviceIdentity(0x8086, 1, 0, 0),
        Regions = Odd() ? Pick<RegionDescriptor[]>([], [new(0, 8192, true, true, false)]) : [new(0, 4096, true, true, true), new(7, 256, true, true, false)],
        Interrupts = Odd() ? Pick<InterruptDescriptor[]>([], [new(2, 8)]) : [new(2, 4)],
        ConfigCapabilities = Odd() ? Pick<int[]>([], [17]) : [5, 17],
        Driver = Pick(null, new DriverDescriptor("d", $"{_random.Next(1000)}")),
        Model = (seed % 4) switch
        {
            0 => Odd() ? Pick(null, "gpu") : "net",
            1 => null,
            _ => Odd() ? Pick(null, "vendor.org/b") : "vendor.org/a",
        },
        Parameters = Parameters(),
        Lists = seed % 5 == 0 ^ Odd() ? Lists() : null,
        InterfaceVersion = seed % 2 == 0 ^ Odd() ? new InterfaceVersion(Odd() ? 2 : 1, _random.Next(3), _random.Next(50)) : null,
        VersionString = seed % 4 == 1 ^ Odd() ? Pick("v1", "v2", "v3") : null,
        StreamFormatsWritten = Odd() ? Pick<string[]>([], ["net/2"], ["net/1", "net/2"]) : ["net/1"],
        StreamFormatsRead = Odd() ? Pick<string[]>([], ["net/2"]) : ["net/1", "net/2"],
        SectionsWritten = Odd() ? [new("rare", Pick(true, false), Pick(true, false)), new("state", true)] : [new("state", true)],
        SectionsRead = Odd() ? Pick<string[]>([], ["state", "rare"]) : ["state"],
        Capabilities = Odd() ? Pick<MigrationCapabilities?>(null, MigrationCapabilities.StopCopy, MigrationCapabilities.PreCopy)
            : MigrationCapabilities.StopCopy | MigrationCapabilities.PreCopy,
    };

    /// <summary>The foreign device that the chain knows by its ids, and now and then something else.</summary>
    public HostOffer[] Foreign(int count) => [.. Hosts(count, DescriptorKind.Device).Select(host => host.Offer is null || Odd() ? host : host with
    {
        Offer = host.Offer with
        {
            Model = null,
            Lists = Odd() ? host.Offer.Lists : null,
            InterfaceVersion = null,
            VersionString = null,
            Identity = new DeviceIdentity(0x494f, 0x0dc8, 0, 0),
            Regions = [new(2, 0x100, true, true, Odd())],
            Interrupts = [new(0, Odd() ? 2 : 1)],
        },
    })];

    public VersionAnswer Answer(string version, HostName destination) =>
        (VersionAnswer)((version[^1] + destination.Value[^1] + seed) % 7 is var answer and < 4 ? answer : 1);

    private List<ParameterDescriptor> Parameters()
    {
        var found = Names.Where(_ => !Odd()).Select(Parameter).ToList();
        if (Odd(30) && found.Count > 0) found.Add(found[0] with { Value = "1" });
        if (Odd()) found.Reverse();
        return found;
    }

    private ParameterDescriptor Parameter(string name) => name switch
    {
        "offloads" => new(name, ParameterType.Set, Odd(30) ? ParameterComparator.Equal : ParameterComparator.Subset,
            Pick("tso, gro", "tso", "gro,tso", ""), "", Pick(null, SupportedValues.Of("tso", "gro"), SupportedValues.Of("tso", "gro", "lro"))),
        "x" => new(name, ParameterType.Number, (ParameterComparator)(1 + seed % 3),
            $"{_random.Next(20)}", "0", SupportedValues.Range(0, (ulong)_random.Next(20))),
        "speed" => new(name, ParameterType.Text, ParameterComparator.Equal, Odd() ? "10g" : "25g", "none",
            Odd() ? Pick(null, SupportedValues.Of("10g")) : SupportedValues.Of("none", "10g", "25g")),
        _ => new(name, Odd(30) ? ParameterType.Text : ParameterType.Number, Odd(30) ? ParameterComparator.AtLeast : ParameterComparator.Equal,
            Odd(40) ? Pick("", "-1", "99999999999999999999", "4 ") : Pick("0", "4", "8", "04", $"{_random.Next(20)}"), Odd(40) ? "1" : "0",
            Odd() ? Pick(null, SupportedValues.Of("0", "4", "x"), SupportedValues.Range(2, 8), new SupportedValues(3, null, null),
                new SupportedValues(1, 2, ["1"]), new SupportedValues(null, null, null))
            : SupportedValues.Range(0, (ulong)(10 + _random.Next(30)))),
    };

    private CompatibilityLists Lists()
    {
        Dictionary<string, string> Set() => new() { ["pciid"] = "8086591d", ["aggregator"] = Pick("1", "2"), ["pv-mode"] = Pick("none", "none, ppgtt") };
        return new([.. Enumerable.Range(0, Odd() ? 0 : 1).Select(_ => Set())], [.. Enumerable.Range(0, _random.Next(5)).Select(_ => Set())]);
    }

    private bool Odd(int oneIn = 0) => _random.Next(oneIn == 0 ? _oddity : oneIn) == 0;

    private T Pick<T>(params ReadOnlySpan<T> values) => values[_random.Next(values.Length)];
}
