using System.Globalization;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices.Emulated;

/// <summary>One configuration parameter of a device model: a whole number in a range.</summary>
/// <param name="Default">what it has when absent, which is its off value: a device that never heard of it behaves like that.</param>
/// <param name="Comparator">when a destination's value takes a source's.</param>
/// <param name="Since">the first driver that knows it.</param>
public sealed record ModelParameter(
    string Name, string Unit, ulong Default, ulong Minimum, ulong Maximum,
    ParameterComparator Comparator = ParameterComparator.Equal, int Since = 1)
{
    internal ParameterDescriptor Describe(ulong value) => new(
        Name, ParameterType.Number, Comparator, value.ToString(CultureInfo.InvariantCulture),
        Default.ToString(CultureInfo.InvariantCulture), SupportedValues.Range(Minimum, Maximum));
}

/// <summary>A device model's configuration parameters, checked against what one driver of the model knows.</summary>
public sealed class ModelParameters
{
    private readonly Dictionary<string, ulong> _values = [];

    /// <param name="driver">whose parameters are known; the newer ones are at their off value.</param>
    /// <exception cref="ModelParameterException">names every parameter that is unknown, no number or out of range.</exception>
    public ModelParameters(string model, IReadOnlyList<ModelParameter> declared, IReadOnlyDictionary<string, string> given, int driver)
    {
        Driver = driver;
        var wrong = new List<string>();
        foreach (var parameter in declared) _values[parameter.Name] = parameter.Default;
        var known = declared.Where(p => p.Since <= driver).ToList();
        foreach (var (name, text) in given)
        {
            var parameter = known.Find(p => p.Name == name);
            if (parameter is null)
                wrong.Add($"'{name}' is unknown; {model} has {Names(known)}");
            else if (!ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value))
                wrong.Add($"'{name}' is '{text}', which is no whole number ({parameter.Unit})");
            else if (value < parameter.Minimum || value > parameter.Maximum)
                wrong.Add($"'{name}' is {value}, which is outside {parameter.Minimum}..{parameter.Maximum} {parameter.Unit}");
            else
                _values[name] = value;
        }
        if (wrong.Count > 0) throw new ModelParameterException($"device model {model}: parameter {string.Join("; parameter ", wrong)}");
    }

    /// <summary>The driver that makes a device of them.</summary>
    public int Driver { get; }

    public ulong this[string name] => _values[name];

    /// <returns>0 where the model declares no such parameter.</returns>
    public ulong ValueOf(string name) => _values.GetValueOrDefault(name);

    private static string Names(List<ModelParameter> known) =>
        known.Count == 0 ? "no parameters" : string.Join(", ", known.Select(p => p.Name));
}

/// <summary>A device model, a version of it or a driver is unknown, or its parameters are wrong.</summary>
public sealed class ModelParameterException(string message) : FormatException(message);
