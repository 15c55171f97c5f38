using static MigrationCluster.Protocol.Compatibility.Rules.ParameterFit;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// Configuration parameters, which are all that counts of a version once a device is instantiated.
///
/// <code>
///                           destination is a device             destination is a template
///   both know it            the comparator decides              the source's value is supported
///   only the source         its value is its off value          its value is its off value
///   only the destination    the comparator decides, on off      off is supported
/// </code>
///
/// A template's parameter without supported values takes only its own value and is compared as a device's.
/// </summary>
public static class ParameterRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var source = Items.Of(candidate.Source.Parameters);
        var own = Items.Of(candidate.Destination.Parameters);
        bool template = candidate.Destination.Kind == DescriptorKind.Template;
        var destination = new NameCursor<ParameterDescriptor>(candidate.Destination.Parameters, static parameter => parameter.Name);
        bool aligned = source.Length == own.Length;
        for (int i = 0; i < source.Length; i++)
        {
            var parameter = destination.Find(source[i].Name);
            aligned = aligned && ReferenceEquals(parameter, own[i]);
            if (parameter is null)
                CheckUnknown(source[i], ref findings);
            else
                CheckKnown(source[i], parameter, template, ref findings);
        }
        if (aligned) return;
        var origin = new NameCursor<ParameterDescriptor>(candidate.Source.Parameters, static parameter => parameter.Name);
        for (int i = 0; i < own.Length; i++)
            if (origin.Find(own[i].Name) is null) CheckUnexpected(own[i], template, ref findings);
    }

    /// <summary>Whether a template with these parameters would be created as the source is, with none of them changed.</summary>
    internal static bool SameValues(IReadOnlyList<ParameterDescriptor> source, IReadOnlyList<ParameterDescriptor> own)
    {
        var destination = new NameCursor<ParameterDescriptor>(own, static parameter => parameter.Name);
        var origin = new NameCursor<ParameterDescriptor>(source, static parameter => parameter.Name);
        foreach (var parameter in source)
            if ((destination.Find(parameter.Name)?.Value ?? parameter.Off) != parameter.Value) return false;
        foreach (var parameter in own)
            if (origin.Find(parameter.Name) is null && parameter.Value != parameter.Off) return false;
        return true;
    }

    private static void CheckKnown(ParameterDescriptor source, ParameterDescriptor own, bool template, ref Findings findings)
    {
        if (source.Type != own.Type || source.Comparator != own.Comparator)
            findings.Doubt("device.parameter-declaration-mismatch",
                $"{source.Name}: {source.Type}, {source.Comparator}", $"{own.Name}: {own.Type}, {own.Comparator}",
                "use drivers of both hosts that declare the parameter alike: they may mean different things by its value");
        else if (template && own.Supported is { } supported)
            Report(ParameterValues.IsSupported(source.Type, source.Comparator, supported, source.Value), source, own, supported, ref findings);
        else
            Report(ParameterValues.Compare(source.Type, source.Comparator, source.Value, own.Value), source, own, null, ref findings);
    }

    private static void Report(
        ParameterFit fit, ParameterDescriptor source, ParameterDescriptor own, SupportedValues? supported, ref Findings findings)
    {
        switch (fit)
        {
            case Malformed:
                DoubtMalformed(source, own, ref findings);
                return;
            case Differs when supported is not null:
                findings.Refuse("device.parameter-unsupported", Shown(source, source.Value), Shown(supported),
                    "use a host that supports the source's value");
                return;
            case Differs:
                findings.Refuse("device.parameter-mismatch", Shown(source, source.Value), Shown(own, own.Value),
                    $"give the destination device a '{source.Name}' that takes the source's value ({source.Comparator})");
                return;
        }
    }

    private static void CheckUnknown(ParameterDescriptor source, ref Findings findings)
    {
        switch (ParameterValues.Compare(source.Type, ParameterComparator.Equal, source.Value, source.Off))
        {
            case Malformed:
                DoubtMalformed(source, source, ref findings);
                return;
            case Differs:
                findings.Refuse("device.parameter-unknown", Shown(source, source.Value), $"unknown, so off ({source.Off})",
                    $"upgrade the destination to a device that knows '{source.Name}', or create the source device with it off");
                return;
        }
    }

    private static void CheckUnexpected(ParameterDescriptor own, bool template, ref Findings findings)
    {
        var fit = template && own.Supported is { } supported
            ? ParameterValues.IsSupported(own.Type, own.Comparator, supported, own.Off)
            : ParameterValues.Compare(own.Type, own.Comparator, own.Off, own.Value);
        switch (fit)
        {
            case Malformed:
                DoubtMalformed(own, own, ref findings);
                return;
            case Differs:
                findings.Refuse("device.parameter-unexpected", $"absent, so off ({own.Off})", Shown(own, own.Value),
                    $"create the destination device with '{own.Name}' off");
                return;
        }
    }

    private static void DoubtMalformed(ParameterDescriptor source, ParameterDescriptor own, ref Findings findings) =>
        findings.Doubt("device.parameter-malformed", $"{source.Type}, {source.Comparator}: {Shown(source, source.Value)}",
            Shown(own, own.Value), $"correct what the devices declare of '{own.Name}': type, comparator, value and supported values");

    private static string Shown(ParameterDescriptor parameter, string value) => $"{parameter.Name}={value}";

    private static string Shown(SupportedValues supported) => supported.Values is { } values
        ? $"supports {string.Join(", ", values.Take(16))}{(values.Count > 16 ? ", …" : "")}"
        : $"supports {supported.Minimum} to {supported.Maximum}";
}
