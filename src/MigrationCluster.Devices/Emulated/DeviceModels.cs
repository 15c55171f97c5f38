using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices.Emulated;

/// <summary>The emulated device models by name.</summary>
public static class DeviceModels
{
    private static readonly IReadOnlyList<DeviceModel> Known =
        [NetDevice.Description, GpuDevice.Description, SerialDevice.Description, LegacyDevice.Description];

    public static IReadOnlyCollection<string> Names { get; } = [.. Known.Select(model => model.Name)];

    public static IEnumerable<int> Drivers => Enumerable.Range(1, DeviceModel.CurrentDriver);

    public static int CurrentDriver => DeviceModel.CurrentDriver;

    /// <exception cref="ModelParameterException">unknown model.</exception>
    public static IReadOnlyList<ModelParameter> ParametersOf(string model) => Find(model).Parameters;

    /// <summary>
    /// Expands a version of a model into the parameters it stands for; explicit ones win. From here on only parameters count.
    /// </summary>
    /// <param name="version">null: none, the explicit parameters are all.</param>
    /// <exception cref="ModelParameterException">unknown model or version.</exception>
    public static IReadOnlyDictionary<string, string> Expand(
        string model, string? version, IReadOnlyDictionary<string, string> explicitly)
    {
        var found = Find(model);
        return ModelVersion.Expand(found.Versions, version, explicitly) ?? throw new ModelParameterException(
            $"device model {model}: version '{version}' is unknown; there are {string.Join(", ", found.Versions.Select(v => v.Name))}");
    }

    /// <summary>Checks what a device would be created with, and fills in the absent parameters.</summary>
    /// <exception cref="ModelParameterException">unknown model or version, or every parameter that is wrong.</exception>
    public static ModelParameters Check(string model, string? version, IReadOnlyDictionary<string, string> explicitly) =>
        Parameters(Find(model), Expand(model, version, explicitly), CurrentDriver);

    /// <summary>
    /// What this host could create of a template. Every parameter takes any value of its range and has the given one where nobody asks for
    /// another; interrupts, sections and the version string are those of a device with the given ones.
    /// </summary>
    /// <exception cref="ModelParameterException">unknown model or version, or every parameter that is wrong.</exception>
    public static DeviceDescriptor Describe(string model, string? version, IReadOnlyDictionary<string, string> explicitly) =>
        Find(model).Describe(DescriptorKind.Template, Check(model, version, explicitly));

    /// <summary>The model whose driver a guest would load for these PCI ids; null: no model of ours.</summary>
    public static string? ByIdentity(DeviceIdentity? identity) => identity?.Vendor == DeviceConfigSpace.Vendor
        ? Known.FirstOrDefault(model => DeviceConfigSpace.DeviceId(model) == identity.Device)?.Name
        : null;

    /// <summary>Makes a device as after power-on: Running by the uAPI, doing nothing until a guest's driver programs it.</summary>
    /// <param name="driver">null: the current one. An older one knows fewer parameters and state sections.</param>
    /// <exception cref="ModelParameterException">unknown model or driver, or every parameter that is wrong.</exception>
    public static EmulatedDevice Create(string model, IReadOnlyDictionary<string, string> given, int? driver = null)
    {
        var found = Find(model);
        return found.Create(Parameters(found, given, driver ?? CurrentDriver));
    }

    private static ModelParameters Parameters(DeviceModel model, IReadOnlyDictionary<string, string> given, int driver) =>
        Drivers.Contains(driver)
            ? new ModelParameters(model.Name, model.Parameters, given, driver)
            : throw new ModelParameterException($"driver {driver} is unknown; there are {string.Join(", ", Drivers)}");

    private static DeviceModel Find(string model) => Known.FirstOrDefault(known => known.Name == model)
        ?? throw new ModelParameterException($"device model '{model}' is unknown; there are {string.Join(", ", Names)}");
}
