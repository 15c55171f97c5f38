namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Which of a chain's sliced handlers has the word on which pair: the first that does not pass on. By their promise that depends on
/// little, so a few bare descriptors tell.
/// </summary>
internal sealed class Claims
{
    private readonly int[] _sources, _offers;
    private readonly int[,] _handlers;

    internal Claims(HandlerChain chain, IReadOnlyList<DeviceDescriptor> sources, IReadOnlyList<DeviceDescriptor> offers)
    {
        var keys = new ContentKeys();
        var bare = new List<DeviceDescriptor>();
        int[] Forms(IReadOnlyList<DeviceDescriptor> of) => [.. of.Select(descriptor =>
        {
            keys.Write((ulong)descriptor.Kind);
            keys.Write(descriptor.Model);
            keys.Write((descriptor.VersionString is null ? 0UL : 1) | (descriptor.Lists is null ? 0UL : 2)
                | (descriptor.InterfaceVersion is null ? 0UL : 4));
            DescriptorSlice.Shape.Write(keys, descriptor);
            int form = keys.Number(out bool isNew);
            if (isNew)
                bare.Add(DescriptorSlice.Shape.Graft(
                    DescriptorSlice.Schemes.Graft(DeviceDescriptor.Empty(descriptor.Kind), descriptor), descriptor));
            return form;
        })];
        (_sources, _offers) = (Forms(sources), Forms(offers));
        _handlers = new int[bare.Count, bare.Count];
        for (int source = 0; source < bare.Count; source++)
            for (int offer = 0; offer < bare.Count; offer++)
                _handlers[source, offer] = First(chain, new Candidate(bare[source], bare[offer]));
    }

    /// <summary>Index into the chain; its length where every sliced handler passes on.</summary>
    internal int this[int source, int offer] => _handlers[_sources[source], _offers[offer]];

    private static int First(HandlerChain chain, Candidate candidate)
    {
        for (int i = 0; i < chain.Handlers.Count; i++)
            if (chain.Handlers[i] is ISlicedHandler handler && handler.Judge(candidate) is not null) return i;
        return chain.Handlers.Count;
    }
}
