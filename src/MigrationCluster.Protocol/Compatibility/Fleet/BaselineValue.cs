using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <param name="Closeness">to the usual value: 100 is equal, 0 is off.</param>
/// <param name="Hosts">those that take a device with this value and can create one.</param>
internal sealed record BaselineValue(string Value, bool IsOn, int Closeness, HostSet Hosts)
{
    internal static BaselineValue Of(
        ParameterDescriptor configured, string usual, IReadOnlyList<DeviceDescriptor> offers, ParameterDescriptor?[] own)
    {
        var (type, value) = (configured.Type, configured.Value);
        bool isOn = ParameterValues.Compare(type, ParameterComparator.Equal, value, configured.Off) == ParameterFit.Differs;
        var asked = new Dictionary<(DescriptorKind, ParameterDescriptor?), bool>();
        var hosts = HostSet.Of(offers.Count, host =>
        {
            var key = (offers[host].Kind, own[host]);
            if (!asked.TryGetValue(key, out bool takes)) asked[key] = takes = Takes(configured, key.Kind, key.Item2);
            return takes;
        });
        return new BaselineValue(value, isOn, Near(type, value, usual, isOn), hosts);
    }

    private static bool Takes(ParameterDescriptor configured, DescriptorKind kind, ParameterDescriptor? own)
    {
        var findings = new Findings();
        ParameterRule.Check(new Candidate(
            DeviceDescriptor.Empty(DescriptorKind.Device) with { Parameters = [configured] },
            DeviceDescriptor.Empty(kind) with { Parameters = own is null ? [] : [own] }), ref findings);
        bool creates = own is null || (kind == DescriptorKind.Template && own.Supported is not null) || own.Value == configured.Value;
        return creates && findings.ToVerdict() is Compatible;
    }

    private static int Near(ParameterType type, string value, string usual, bool isOn)
    {
        if (value == usual) return 100;
        if (!isOn) return 0;
        switch (type)
        {
            case ParameterType.Number when ParameterValues.TryNumber(value, out ulong number) && ParameterValues.TryNumber(usual, out ulong wanted):
                var (less, more) = (Math.Min(number, wanted), Math.Max(number, wanted));
                return more == 0 ? 100 : (int)(99 * (UInt128)less / more);
            case ParameterType.Set:
                var members = BaselineChoice.Members(usual).ToHashSet(StringComparer.Ordinal);
                return members.Count == 0 ? 50
                    : Math.Min(99, 100 * BaselineChoice.Members(value).Distinct(StringComparer.Ordinal).Count(members.Contains) / members.Count);
            default:
                return 50;
        }
    }
}
