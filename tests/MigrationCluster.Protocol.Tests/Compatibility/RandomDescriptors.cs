using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Compatibility;

/// <summary>
/// Descriptors from a seed. Every fact is drawn from a small pool, so that pairs agree often enough for each verdict to occur; wild ones
/// also hold what no reader lets in: names twice, enum values that are none, numbers beyond every limit.
/// </summary>
internal sealed class RandomDescriptors(int seed, bool wild = false)
{
    private static readonly string[] Texts = ["", "0", "1", "2", "010", "32", "a", "a,b", "b, a", "-1", "18446744073709551616", "ten", "é"];

    private readonly Random _random = new(seed);

    public DeviceDescriptor Any() => new(
        Chance(2) ? DescriptorKind.Template : DescriptorKind.Device,
        Maybe(() => new DeviceIdentity(0x8086, 0x10d3, 0, (ushort)_random.Next(2))),
        Some(2, i => new RegionDescriptor(wild ? 0 : i, Chance(8) ? 8192UL : 4096UL, true, true, Chance(8))),
        Some(2, i => new InterruptDescriptor(i, wild && Chance(4) ? int.MinValue : 1 + _random.Next(2))),
        Some(2, i => wild ? _random.Next() : i),
        Maybe(() => new DriverDescriptor("d", Maybe(() => Text()))),
        Maybe(() => Pick("net", "acme", "https://acme")),
        Some(4, Parameter),
        Maybe(() => new CompatibilityLists(Some(2, _ => Attributes()), Some(4, _ => Attributes()))),
        Chance(2) ? new InterfaceVersion(wild ? _random.Next(int.MinValue, int.MaxValue) : 1, _random.Next(3), _random.Next(3)) : null,
        Maybe(() => Pick("v1", "v2")),
        Names(), Names(),
        Some(3, i => new SectionDescriptor($"n{(wild ? 0 : i)}", Chance(2), Chance(3))),
        Names(),
        Chance(4) ? null : wild && Chance(4) ? (MigrationCapabilities)ulong.MaxValue : (MigrationCapabilities)(1 + 2 * _random.Next(4)));

    /// <summary>A destination that differs from a source in a fact or two.</summary>
    public DeviceDescriptor Near(DeviceDescriptor source)
    {
        var near = source with
        {
            StreamFormatsRead = source.StreamFormatsWritten,
            SectionsRead = [.. source.SectionsWritten.Select(section => section.Name)],
            Lists = source.Lists is { } lists ? lists with { Compatible = [.. lists.Compatible, .. lists.Self] } : null,
        };
        for (int i = _random.Next(3); i > 0; i--)
        {
            var other = Any();
            near = _random.Next(9) switch
            {
                0 => near with { Kind = other.Kind },
                1 => near with { Regions = other.Regions, Interrupts = other.Interrupts },
                2 => near with { Parameters = [.. near.Parameters.Skip(1)] },
                3 => near with { Parameters = [.. near.Parameters, .. other.Parameters.Where(p => near.Parameters.All(n => n.Name != p.Name))] },
                4 => near with { Parameters = [.. near.Parameters.Select(p => p with { Value = Text() })] },
                5 => near with { Capabilities = other.Capabilities },
                6 => near with { Lists = other.Lists, InterfaceVersion = other.InterfaceVersion },
                7 => near with { SectionsRead = other.SectionsRead, StreamFormatsRead = other.StreamFormatsRead },
                _ => near with { Model = other.Model, VersionString = other.VersionString },
            };
        }
        return near;
    }

    public VersionAnswer Answer() => Chance(2) ? VersionAnswer.NotAsked : (VersionAnswer)_random.Next(wild ? 6 : 4);

    public int Next(int count) => _random.Next(count);

    private ParameterDescriptor Parameter(int index) => Chance(3)
        ? new($"p{(wild ? 0 : index)}", Chance(2) ? ParameterType.Set : (ParameterType)(1 + _random.Next(wild ? 9 : 3)),
            (ParameterComparator)(1 + _random.Next(wild ? 9 : 3)), Text(), Text(), Supported())
        : new($"p{index}", ParameterType.Number, (ParameterComparator)(1 + _random.Next(2)), Pick("0", "1", "32"), "0",
            Chance(4) ? null : Chance(2) ? SupportedValues.Range(0, 32) : SupportedValues.Of("0", "1", "32"));

    private SupportedValues? Supported() => _random.Next(wild ? 5 : 3) switch
    {
        0 => null,
        1 => SupportedValues.Of(Some(4, _ => Text())),
        2 => SupportedValues.Range((ulong)_random.Next(3), (ulong)_random.Next(40)),
        3 => new SupportedValues(null, null, null),
        _ => new SupportedValues(1, null, ["1"]),
    };

    private Dictionary<string, string> Attributes()
    {
        var attributes = new Dictionary<string, string>();
        for (int i = _random.Next(3); i >= 0; i--) attributes[$"a{_random.Next(2)}"] = Pick("x", "y", "x, y", "");
        return attributes;
    }

    private List<string> Names() => [.. Some(3, i => $"n{i}").Where(_ => !Chance(5))];

    private List<T> Some<T>(int most, Func<int, T> make) => [.. Enumerable.Range(0, _random.Next(most + 1)).Select(make)];

    private T? Maybe<T>(Func<T> make) where T : class => Chance(2) ? make() : null;

    private string Text() => Pick(Texts);

    private T Pick<T>(params T[] values) => values[_random.Next(values.Length)];

    private bool Chance(int oneIn) => _random.Next(oneIn) == 0;
}
