namespace MigrationCluster.Devices.Emulated;

/// <summary>The emulated device models by name.</summary>
public static class DeviceModels
{
    private static readonly Dictionary<string, (IReadOnlyList<ModelParameter> Parameters, Func<ModelParameters, EmulatedDevice> Create)> Known =
        new()
        {
            ["net"] = (NetDevice.Parameters, parameters => new NetDevice(parameters)),
            ["gpu"] = (GpuDevice.Parameters, parameters => new GpuDevice(parameters)),
            ["serial"] = (SerialDevice.Parameters, parameters => new SerialDevice(parameters)),
        };

    public static IReadOnlyCollection<string> Names => Known.Keys;

    /// <exception cref="ModelParameterException">unknown model.</exception>
    public static IReadOnlyList<ModelParameter> ParametersOf(string model) => Find(model).Parameters;

    /// <summary>Checks a model's parameters and fills in the absent ones.</summary>
    /// <exception cref="ModelParameterException">unknown model, or every parameter that is wrong.</exception>
    public static ModelParameters Check(string model, IReadOnlyDictionary<string, string> given) =>
        new(model, Find(model).Parameters, given);

    /// <summary>Makes a device as after power-on: Running by the uAPI, doing nothing until a driver programs it.</summary>
    /// <exception cref="ModelParameterException">unknown model, or every parameter that is wrong.</exception>
    public static EmulatedDevice Create(string model, IReadOnlyDictionary<string, string> given) =>
        Find(model).Create(Check(model, given));

    /// <summary>The state stream format a model writes and reads.</summary>
    public static string StreamFormat(string model) => $"{model}/1";

    private static (IReadOnlyList<ModelParameter> Parameters, Func<ModelParameters, EmulatedDevice> Create) Find(string model) =>
        Known.TryGetValue(model, out var found)
            ? found
            : throw new ModelParameterException($"device model '{model}' is unknown; there are {string.Join(", ", Known.Keys)}");
}
