namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>One parameter name over all sources and offers of a class, each distinct form numbered; form 0 is not having it.</summary>
internal sealed class ParameterColumn
{
    private readonly Side _sources = new(), _offers = new();

    internal IReadOnlyList<IReadOnlyList<ParameterDescriptor>> Sources => _sources.Forms;

    internal IReadOnlyList<IReadOnlyList<ParameterDescriptor>> Offers => _offers.Forms;

    /// <summary>The form of each source and of each offer.</summary>
    internal void Read(Span<int> sources, Span<int> offers)
    {
        _sources.Read(sources);
        _offers.Read(offers);
    }

    internal static Dictionary<string, ParameterColumn> Of(
        IReadOnlyList<DeviceDescriptor> sources, IReadOnlyList<DeviceDescriptor> offers)
    {
        var columns = new Dictionary<string, ParameterColumn>(StringComparer.Ordinal);
        ParameterColumn Column(string name) => columns.TryGetValue(name, out var known) ? known : columns[name] = new ParameterColumn();
        for (int i = 0; i < sources.Count; i++)
            foreach (var parameter in sources[i].Parameters) Column(parameter.Name)._sources.Add(i, parameter);
        for (int i = 0; i < offers.Count; i++)
            foreach (var parameter in offers[i].Parameters)
                Column(parameter.Name)._offers.Add(i, offers[i].Kind == DescriptorKind.Template ? WithoutDefault(parameter) : parameter);
        return columns;
    }

    /// <summary>A template that says what it supports is created with the source's value: its own makes no other form of it.</summary>
    private static ParameterDescriptor WithoutDefault(ParameterDescriptor parameter) =>
        parameter.Supported is null ? parameter : parameter with { Value = parameter.Off };

    /// <summary>Sparse: of a thousand hosts one may have a name that no other has.</summary>
    private sealed class Side
    {
        private readonly ContentKeys _keys = new();
        private readonly List<(int Host, int Form)> _places = [];

        internal List<IReadOnlyList<ParameterDescriptor>> Forms { get; } = [[]];

        internal void Add(int host, ParameterDescriptor parameter)
        {
            // A descriptor may list a name twice: that is a form too, and the rules say what it is worth.
            bool again = _places.Count > 0 && _places[^1].Host == host;
            var before = again ? Forms[_places[^1].Form] : [];
            foreach (var part in before) DescriptorContent.WriteParameter(_keys, part);
            DescriptorContent.WriteParameter(_keys, parameter);
            int number = _keys.Number(out bool isNew) + 1;
            if (isNew) Forms.Add([.. before, parameter]);
            if (again) _places[^1] = (host, number);
            else _places.Add((host, number));
        }

        internal void Read(Span<int> forms)
        {
            forms.Clear();
            foreach (var (host, form) in _places) forms[host] = form;
        }
    }
}
