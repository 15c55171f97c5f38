namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>Schemes besides the version string: model names, lists and x.y.z.</summary>
internal static class Schemes
{
    /// <summary>One of them is spoken by both sides, so that there is a yes or a no without asking a device.</summary>
    public static bool OtherOnBoth(Candidate candidate)
    {
        var (source, own) = (candidate.Source, candidate.Destination);
        return (source.Model is not null && own.Model is not null)
            || (source.Lists is not null && own.Lists is not null)
            || (source.InterfaceVersion is not null && own.InterfaceVersion is not null);
    }

    /// <summary>One of them is spoken by a side; if only by one, its own rule says so.</summary>
    public static bool OtherOnEither(Candidate candidate) => OnOne(candidate.Source) || OnOne(candidate.Destination);

    private static bool OnOne(DeviceDescriptor descriptor) =>
        descriptor is not { Model: null, Lists: null, InterfaceVersion: null };
}
