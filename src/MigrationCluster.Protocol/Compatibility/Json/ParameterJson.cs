namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>One configuration parameter of a descriptor.</summary>
internal static class ParameterJson
{
    private static readonly string[] Fields = ["name", "type", "comparator", "value", "off", "supported"];
    private static readonly string[] SupportedFields = ["minimum", "maximum", "values"];

    public static ParameterDescriptor Read(ref BoundedJsonReader json)
    {
        var parameter = new ParameterDescriptor("", default, default, "", "");
        var fields = json.BeginObject(Fields, required: 5);
        while (json.NextField(ref fields, out int field))
            parameter = field switch
            {
                0 => parameter with { Name = json.String(DescriptorLimits.Name) },
                1 => parameter with { Type = json.Enum<ParameterType>() },
                2 => parameter with { Comparator = json.Enum<ParameterComparator>() },
                3 => parameter with { Value = json.String(DescriptorLimits.Text) },
                4 => parameter with { Off = json.String(DescriptorLimits.Text) },
                _ => parameter with { Supported = json.IsNull ? null : Supported(ref json) },
            };
        return parameter;
    }

    private static SupportedValues Supported(ref BoundedJsonReader json)
    {
        var supported = new SupportedValues(null, null, null);
        var fields = json.BeginObject(SupportedFields, required: SupportedFields.Length);
        while (json.NextField(ref fields, out int field))
            supported = field switch
            {
                0 => supported with { Minimum = json.IsNull ? null : json.UInt64(0) },
                1 => supported with { Maximum = json.IsNull ? null : json.UInt64(0) },
                _ => supported with
                {
                    Values = json.IsNull ? null : json.List(DescriptorLimits.SupportedValues,
                        static (ref BoundedJsonReader element) => element.String(DescriptorLimits.Text)),
                },
            };
        return supported is { Minimum: not null, Maximum: not null, Values: null } or { Minimum: null, Maximum: null, Values: not null }
            ? supported
            : throw BoundedJsonReader.Refuse("json.unknown-value", "neither a closed range nor listed values");
    }
}
