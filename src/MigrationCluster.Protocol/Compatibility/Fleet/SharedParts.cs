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

    /// <summary>Texts and parts, each with itself: equal by value, and of one type if they are equal.</summary>
    private readonly Dictionary<object, object> _known = [];

    /// <returns>an equal descriptor.</returns>
    public DeviceDescriptor Share(DeviceDescriptor descriptor)
    {
        if (_known.Count > Most) _known.Clear();
        return descriptor with
        {
            Identity = descriptor.Identity is { } identity ? One(identity) : null,
            Regions = All(descriptor.Regions),
            Interrupts = All(descriptor.Interrupts),
            Driver = descriptor.Driver is { } driver ? One(driver) : null,
            Model = descriptor.Model is { } model ? One(model) : null,
            Parameters = All(descriptor.Parameters, Compact),
            StreamFormatsWritten = All(descriptor.StreamFormatsWritten),
            StreamFormatsRead = All(descriptor.StreamFormatsRead),
            SectionsWritten = All(descriptor.SectionsWritten),
            SectionsRead = All(descriptor.SectionsRead),
        };
    }

    private ParameterDescriptor Compact(ParameterDescriptor parameter) =>
        parameter with { Name = One(parameter.Name), Value = One(parameter.Value), Off = One(parameter.Off) };

    private T[] All<T>(IReadOnlyList<T> parts, Func<T, T>? compact = null)
        where T : class
    {
        var shared = new T[parts.Count];
        for (int i = 0; i < shared.Length; i++) shared[i] = One(parts[i], compact);
        return shared;
    }

    /// <param name="compact">what a part that was not known yet shares in its turn.</param>
    private T One<T>(T part, Func<T, T>? compact = null)
        where T : class
    {
        if (_known.TryGetValue(part, out object? known)) return (T)known;
        if (compact is not null) part = compact(part);
        _known[part] = part;
        return part;
    }
}
