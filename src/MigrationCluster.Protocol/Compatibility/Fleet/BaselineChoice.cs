using System.Globalization;
using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>One parameter of a baseline: the values worth considering, the best first, and which hosts take and can create each.</summary>
/// <param name="Declared">as most hosts declare it, with its usual value.</param>
/// <param name="IsFeature">some host has it on by default; any other parameter stays off.</param>
/// <param name="IsComplete">false: values were left out because there are too many.</param>
internal sealed record BaselineChoice(
    ParameterDescriptor Declared, bool IsFeature, IReadOnlyList<BaselineValue> Values, bool IsComplete)
{
    /// <summary>Sets have as many subsets as there are hosts to agree with; beyond this many, the search is not complete.</summary>
    private const int MostSets = 256;

    internal static IReadOnlyList<BaselineChoice> Of(IReadOnlyList<DeviceDescriptor> offers)
    {
        var names = offers.SelectMany(offer => offer.Parameters).Select(parameter => parameter.Name).Distinct(StringComparer.Ordinal);
        return [.. names.Select(name => Of(name, offers)).OrderBy(choice => choice.Declared.Name, StringComparer.Ordinal)];
    }

    private static BaselineChoice Of(string name, IReadOnlyList<DeviceDescriptor> offers)
    {
        var own = offers.Select(offer => offer.Parameters.FirstOrDefault(parameter => parameter.Name == name)).ToArray();
        var present = own.OfType<ParameterDescriptor>().ToArray();
        var (type, comparator, off) = MostCommon(present.Select(parameter => (parameter.Type, parameter.Comparator, parameter.Off)));
        var on = present.Where(parameter => !IsOff(parameter)).Select(parameter => parameter.Value).ToArray();
        string usual = on.Length == 0 ? off : MostCommon(on);
        var declared = new ParameterDescriptor(name, type, comparator, usual, off);
        var (values, complete) = on.Length == 0 ? ([off], true) : Candidates(declared, present);
        var kept = new List<BaselineValue>();
        foreach (var value in values.Distinct(StringComparer.Ordinal)
            .Select(value => BaselineValue.Of(declared with { Value = value }, usual, offers, own))
            .OrderByDescending(value => value.IsOn).ThenByDescending(value => value.Closeness).ThenByDescending(value => value.Hosts.Count))
        {
            // No better value reaches a host that this one does not reach too, or it is not worth considering.
            if (value.Hosts.Count > 0 && !kept.Any(better => better.Hosts.CountOfBoth(value.Hosts) == value.Hosts.Count)) kept.Add(value);
        }
        return new BaselineChoice(declared, on.Length > 0, kept, complete);
    }

    /// <summary>
    /// Of a number's range, the nearest value to the usual one is that one or an end of the range; of a set, what is common with some of the hosts.
    /// </summary>
    private static (IReadOnlyCollection<string> Values, bool Complete) Candidates(ParameterDescriptor declared, ParameterDescriptor[] present)
    {
        var values = new HashSet<string>(StringComparer.Ordinal) { declared.Value, declared.Off };
        values.UnionWith(present.Select(parameter => parameter.Value));
        if (declared.Type == ParameterType.Set)
        {
            string[] usual = [.. Members(declared.Value)];
            foreach (var parameter in present)
                if (parameter.Supported?.Values is { } members)
                {
                    var supported = members.Select(member => member.Trim()).ToHashSet(StringComparer.Ordinal);
                    foreach (string set in values.ToArray())
                    {
                        if (values.Count >= MostSets) return (values, false);
                        values.Add(string.Join(',', Members(set).Where(supported.Contains)));
                    }
                }
            return (values, true);
        }
        foreach (var supported in present.Select(parameter => parameter.Supported).OfType<SupportedValues>())
        {
            if (supported.Minimum is { } least) values.Add(least.ToString(CultureInfo.InvariantCulture));
            if (supported.Maximum is { } most) values.Add(most.ToString(CultureInfo.InvariantCulture));
            if (supported.Values is { } listed) values.UnionWith(listed);
        }
        return (values, true);
    }

    internal static IEnumerable<string> Members(string set) =>
        set.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static bool IsOff(ParameterDescriptor parameter) =>
        ParameterValues.Compare(parameter.Type, ParameterComparator.Equal, parameter.Value, parameter.Off) != ParameterFit.Differs;

    private static T MostCommon<T>(IEnumerable<T> values) where T : notnull =>
        values.GroupBy(value => value).OrderByDescending(group => group.Count()).ThenBy(group => group.Key).First().Key;
}
