namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Lets the descriptors of many hosts share what is equal in them. Hosts of a fleet say nearly the same thing, each in its own message;
/// a question over all of them is as fast as memory is, so what is said a thousand times is kept once.
/// </summary>
/// <remarks>Not safe for concurrent use.</remarks>
public sealed class SharedParts
{
    /// <summary>Beyond that many kept parts it starts over: what a fleet no longer says must not be kept for ever.</summary>
    private const int Most = 100_000;

    private readonly Dictionary<string, string> _texts = [];
    private readonly Dictionary<ParameterDescriptor, ParameterDescriptor> _parameters = [];

    /// <returns>an equal descriptor.</returns>
    public DeviceDescriptor Share(DeviceDescriptor descriptor)
    {
        if (_texts.Count + _parameters.Count > Most)
        {
            _texts.Clear();
            _parameters.Clear();
        }

        var parameters = new ParameterDescriptor[descriptor.Parameters.Count];
        for (int i = 0; i < parameters.Length; i++) parameters[i] = Share(descriptor.Parameters[i]);
        return descriptor with
        {
            Model = descriptor.Model is { } model ? Share(model) : null,
            Parameters = parameters,
            StreamFormatsWritten = Share(descriptor.StreamFormatsWritten),
            StreamFormatsRead = Share(descriptor.StreamFormatsRead),
            SectionsRead = Share(descriptor.SectionsRead),
        };
    }

    private ParameterDescriptor Share(ParameterDescriptor parameter)
    {
        if (_parameters.TryGetValue(parameter, out var known)) return known;
        var shared = parameter with { Name = Share(parameter.Name), Value = Share(parameter.Value), Off = Share(parameter.Off) };
        return _parameters[shared] = shared;
    }

    private string[] Share(IReadOnlyList<string> texts)
    {
        var shared = new string[texts.Count];
        for (int i = 0; i < shared.Length; i++) shared[i] = Share(texts[i]);
        return shared;
    }

    private string Share(string text) => _texts.TryGetValue(text, out string? known) ? known : _texts[text] = text;
}
