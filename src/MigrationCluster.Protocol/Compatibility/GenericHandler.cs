using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>Compares what any two descriptors say, scheme by scheme.</summary>
public sealed class GenericHandler : ICompatibilityHandler
{
    public string Name => "generic";

    public Verdict? Judge(Candidate candidate)
    {
        var (source, own) = (candidate.Source, candidate.Destination);
        var found = new List<CompatibilityReason>();
        void Differ(string code, string expected, string actual, string remedy) =>
            found.Add(new CompatibilityReason(code, expected, actual, CompatibilitySide.Destination, remedy));

        if (source.Model != own.Model)
            Differ("device.model-mismatch", source.Model ?? "none", own.Model ?? "none", "use a template of the same model at the destination");
        foreach (var parameter in source.Parameters)
        {
            var actual = own.Parameters.FirstOrDefault(p => p.Name == parameter.Name);
            if (actual is null)
                Differ("device.parameter-missing", $"{parameter.Name}={parameter.Value}", "absent", $"give the destination's template '{parameter.Name}'");
            else if (actual.Value != parameter.Value)
                Differ("device.parameter-mismatch", $"{parameter.Name}={parameter.Value}", $"{parameter.Name}={actual.Value}",
                    $"set '{parameter.Name}' to {parameter.Value} in the destination's template");
        }
        foreach (var parameter in own.Parameters)
            if (source.Parameters.All(p => p.Name != parameter.Name))
                Differ("device.parameter-unexpected", "absent", $"{parameter.Name}={parameter.Value}", $"remove '{parameter.Name}' from the destination's template");
        if (Shape(source) is var expected && Shape(own) is var shape && expected != shape)
            Differ("device.shape-mismatch", expected, shape, "use a device with the same regions and interrupts");
        var capabilities = source.Capabilities ?? MigrationCapabilities.None;
        var owned = own.Capabilities ?? MigrationCapabilities.None;
        if ((capabilities & ~owned) is var missing and not MigrationCapabilities.None)
            Differ("device.capability-missing", $"{capabilities}", $"{owned}", $"use a device that can do {missing}");
        foreach (string format in source.StreamFormatsWritten)
            if (!own.StreamFormatsRead.Contains(format))
                Differ("device.stream-format-unknown", format, string.Join(' ', own.StreamFormatsRead), $"upgrade the destination to a device that reads {format}");
        return found.Count == 0 ? new Compatible(default, []) : new Incompatible(found);
    }

    private static string Shape(DeviceDescriptor descriptor) => string.Join(' ',
    [
        .. descriptor.Regions.Select(region => $"{region.Index}:{region.SizeBytes}"),
        .. descriptor.Interrupts.Select(interrupt => $"irq{interrupt.Index}:{interrupt.Count}"),
    ]);
}
