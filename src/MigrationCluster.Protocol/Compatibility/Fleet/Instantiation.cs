using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>The device a template becomes.</summary>
public static class Instantiation
{
    /// <summary>With the template's default values: what a guest started on that host gets.</summary>
    public static DeviceDescriptor Instantiate(this DeviceDescriptor template) => template.Kind == DescriptorKind.Device
        ? template
        : template with
        {
            Kind = DescriptorKind.Device,
            Parameters = template.Parameters.Select(parameter => parameter with { Supported = null }).ToArray(),
        };

    /// <summary>
    /// With the values of a configuration, as a destination does with its source's: a parameter that the configuration leaves out is off, one
    /// that only the configuration has is left out (it is off there, or no destination would take it), and one that the host supports a
    /// single value of keeps that.
    /// </summary>
    public static DeviceDescriptor Instantiate(this DeviceDescriptor template, IReadOnlyList<ParameterDescriptor> configuration) =>
        template.Kind == DescriptorKind.Device ? template
            : template with { Kind = DescriptorKind.Device, Parameters = Values(template, configuration) };

    /// <summary>What a device that this template's host took has become there: the shape is the source's, since the guest sees the same device,
    /// whatever the template's own values make.</summary>
    public static DeviceDescriptor Recreate(this DeviceDescriptor template, DeviceDescriptor source) => template with
    {
        Kind = DescriptorKind.Device,
        Parameters = Values(template, source.Parameters),
        Regions = source.Regions,
        Interrupts = source.Interrupts,
    };

    private static IReadOnlyList<ParameterDescriptor> Values(DeviceDescriptor template, IReadOnlyList<ParameterDescriptor> configuration)
    {
        if (template.Kind == DescriptorKind.Device) return template.Parameters;
        var values = new NameCursor<ParameterDescriptor>(configuration, static parameter => parameter.Name);
        var parameters = new ParameterDescriptor[template.Parameters.Count];
        for (int i = 0; i < parameters.Length; i++)
        {
            var own = template.Parameters[i];
            var given = values.Find(own.Name);
            parameters[i] = own.Supported is null ? own
                : given is { Supported: null } && given.Type == own.Type && given.Comparator == own.Comparator && given.Off == own.Off ? given
                : own with { Value = given?.Value ?? own.Off, Supported = null };
        }
        return parameters;
    }
}
