namespace MigrationCluster.Protocol.Compatibility;

/// <summary>
/// One configuration parameter: something that affects the hardware interface or the state's representation. Its off value
/// disables that effect and is what an absent parameter means.
/// </summary>
/// <param name="Value">what the device is configured with; of a template, what it gets when nothing else is asked for.</param>
/// <param name="Off">the value that is the same as not having the parameter.</param>
/// <param name="Supported">
/// values it can be created with, the off value among them if it can be created without the parameter; null: only <paramref name="Value"/>.
/// </param>
public sealed record ParameterDescriptor(
    string Name, ParameterType Type, ParameterComparator Comparator, string Value, string Off, SupportedValues? Supported = null);

public enum ParameterType
{
    Text = 1,

    /// <summary>A whole number, 0 to 2^64-1, in decimal.</summary>
    Number = 2,

    /// <summary>Members separated by commas, order and blanks without meaning.</summary>
    Set = 3,
}

/// <summary>When a destination device's value takes a source device's value.</summary>
public enum ParameterComparator
{
    /// <summary>The guest sees it: both are equal.</summary>
    Equal = 1,

    /// <summary>A number that may grow: the destination's is at least the source's.</summary>
    AtLeast = 2,

    /// <summary>A set of which the guest uses what the source has: all of it is in the destination's.</summary>
    Subset = 3,
}

/// <summary>A closed range of numbers, or listed values (for a set: its possible members); one of the two.</summary>
public sealed record SupportedValues(ulong? Minimum, ulong? Maximum, IReadOnlyList<string>? Values)
{
    public static SupportedValues Range(ulong minimum, ulong maximum) => new(minimum, maximum, null);

    public static SupportedValues Of(params IReadOnlyList<string> values) => new(null, null, values);
}
