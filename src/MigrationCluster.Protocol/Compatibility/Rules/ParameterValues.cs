using System.Globalization;
using static MigrationCluster.Protocol.Compatibility.Rules.ParameterFit;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>Comparisons of parameter values by their type. Nothing here throws, whatever the texts hold.</summary>
internal static class ParameterValues
{
    public static ParameterFit Compare(ParameterType type, ParameterComparator comparator, string source, string own) =>
        (type, comparator) switch
        {
            (ParameterType.Text, ParameterComparator.Equal) => Of(source == own),
            (ParameterType.Set, ParameterComparator.Equal) => Of(TextSet.IsSubset(source, own) && TextSet.IsSubset(own, source)),
            (ParameterType.Set, ParameterComparator.Subset) => Of(TextSet.IsSubset(source, own)),
            (ParameterType.Number, ParameterComparator.Equal or ParameterComparator.AtLeast) =>
                !TryNumber(source, out ulong s) ? Malformed
                : source == own ? Fits
                : !TryNumber(own, out ulong o) ? Malformed
                : Of(comparator == ParameterComparator.Equal ? o == s : o >= s),
            _ => Malformed,
        };

    /// <summary>Whether a device can be created with this value.</summary>
    public static ParameterFit IsSupported(
        ParameterType type, ParameterComparator comparator, SupportedValues supported, string value)
    {
        if (type == ParameterType.Number && comparator is (ParameterComparator.Equal or ParameterComparator.AtLeast))
            return TryNumber(value, out ulong number) ? NumberIsSupported(supported, number) : Malformed;
        if (Compare(type, comparator, value, value) == Malformed) return Malformed;
        if (IsRange(supported)) return Malformed;
        return Of(supported.Values is { } values && (type == ParameterType.Set ? TextSet.AllIn(value, values) : values.Contains(value)));
    }

    private static ParameterFit NumberIsSupported(SupportedValues supported, ulong number)
    {
        if (IsRange(supported))
            return supported.Values is not null ? Malformed
                : Of(number >= (supported.Minimum ?? ulong.MinValue) && number <= (supported.Maximum ?? ulong.MaxValue));
        if (supported.Values is not { } listed) return Differs;
        for (int i = 0; i < listed.Count; i++)
            if (TryNumber(listed[i], out ulong value) && value == number) return Fits;
        return Differs;
    }

    private static bool IsRange(SupportedValues supported) => supported.Minimum is not null || supported.Maximum is not null;

    /// <summary>Digits alone. Up to 19 of them cannot overflow; a question over a fleet reads hundreds of thousands of numbers.</summary>
    public static bool TryNumber(string text, out ulong number)
    {
        if (text.Length is 0 or > 19) return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
        number = 0;
        foreach (char c in text)
        {
            if (!char.IsAsciiDigit(c)) return false;
            number = number * 10 + (uint)(c - '0');
        }
        return true;
    }

    private static ParameterFit Of(bool fits) => fits ? Fits : Differs;
}
