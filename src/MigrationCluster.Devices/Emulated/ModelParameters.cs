using System.Globalization;

namespace MigrationCluster.Devices.Emulated;

/// <summary>One configuration parameter of a device model: a whole number in a range, with the value it has when absent.</summary>
public sealed record ModelParameter(string Name, string Unit, ulong Default, ulong Minimum, ulong Maximum);

/// <summary>A device model's configuration parameters, checked against what the model declares.</summary>
public sealed class ModelParameters
{
    private readonly Dictionary<string, ulong> _values = [];

    /// <exception cref="ModelParameterException">names every parameter that is unknown, no number or out of range.</exception>
    public ModelParameters(string model, IReadOnlyList<ModelParameter> declared, IReadOnlyDictionary<string, string> given)
    {
        var wrong = new List<string>();
        foreach (var parameter in declared) _values[parameter.Name] = parameter.Default;
        foreach (var (name, text) in given)
        {
            var parameter = declared.FirstOrDefault(p => p.Name == name);
            if (parameter is null)
                wrong.Add($"'{name}' is unknown; {model} has {Names(declared)}");
            else if (!ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value))
                wrong.Add($"'{name}' is '{text}', which is no whole number ({parameter.Unit})");
            else if (value < parameter.Minimum || value > parameter.Maximum)
                wrong.Add($"'{name}' is {value}, which is outside {parameter.Minimum}..{parameter.Maximum} {parameter.Unit}");
            else
                _values[name] = value;
        }
        if (wrong.Count > 0) throw new ModelParameterException($"device model {model}: parameter {string.Join("; parameter ", wrong)}");
    }

    public ulong this[string name] => _values[name];

    /// <summary>Every parameter, the absent ones with their default, as text: what two hosts compare.</summary>
    public IReadOnlyDictionary<string, string> Effective =>
        _values.ToDictionary(v => v.Key, v => v.Value.ToString(CultureInfo.InvariantCulture));

    private static string Names(IReadOnlyList<ModelParameter> declared) =>
        declared.Count == 0 ? "no parameters" : string.Join(", ", declared.Select(p => p.Name));
}

/// <summary>A device model is unknown or its parameters are wrong.</summary>
public sealed class ModelParameterException(string message) : FormatException(message);
