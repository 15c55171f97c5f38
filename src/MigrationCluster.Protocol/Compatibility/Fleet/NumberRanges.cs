using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// A column of numbers and supported ranges, where a fleet may well have as many forms as hosts: whether a value is in a range is read off
/// two arrays, not judged for a million pairs. A template takes a number of its range, whatever the comparator.
/// </summary>
internal sealed class NumberRanges
{
    private readonly ulong?[] _numbers;
    private readonly ulong[] _least, _most, _others;

    private NumberRanges(ulong?[] numbers, int offers)
    {
        _numbers = numbers;
        (_least, _most, _others) = (new ulong[offers], new ulong[offers], new ulong[(offers + 63) / 64]);
    }

    /// <returns>null: the column declares other things too, so what it says is judged form by form.</returns>
    internal static NumberRanges? Of(ParameterColumn column, ReadOnlySpan<int> offerForms)
    {
        var declared = column.Sources.Concat(column.Offers).SelectMany(form => form).Select(parameter => (parameter.Type, parameter.Comparator));
        if (declared.Distinct().ToArray() is not [(ParameterType.Number, ParameterComparator.Equal or ParameterComparator.AtLeast)])
            return null;
        var ranges = new NumberRanges(
            [.. column.Sources.Select(form => form is [var only] && ParameterValues.TryNumber(only.Value, out ulong number) ? number : (ulong?)null)],
            offerForms.Length);
        for (int offer = 0; offer < offerForms.Length; offer++)
        {
            ranges._most[offer] = ulong.MaxValue;
            if (column.Offers[offerForms[offer]] is [{ Supported: { Values: null } supported }]
                && (supported.Minimum ?? supported.Maximum) is not null)
                (ranges._least[offer], ranges._most[offer]) = (supported.Minimum ?? 0, supported.Maximum ?? ulong.MaxValue);
            else
                ranges._others[offer >> 6] |= 1UL << offer;
        }
        return ranges;
    }

    /// <summary>The source form's value; null: it is none.</summary>
    internal ulong? Number(int form) => _numbers[form];

    /// <summary>Of 64 offers, those that have to be judged.</summary>
    internal ulong Others(int word) => _others[word];

    /// <summary>Of 64 offers, those whose range the number is not in.</summary>
    internal ulong Outside(int word, ulong number)
    {
        int first = word * 64, count = Math.Min(64, _least.Length - first);
        var least = _least.AsSpan(first, count);
        var most = _most.AsSpan(first, count);
        ulong outside = 0;
        for (int i = 0; i < least.Length && i < most.Length; i++)
            outside |= (number < least[i] | number > most[i] ? 1UL : 0) << i;
        return outside;
    }
}
