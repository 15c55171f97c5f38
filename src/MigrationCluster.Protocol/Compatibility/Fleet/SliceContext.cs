namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Two descriptors without parameters onto which slices are grafted. Where the handler finds the pair compatible, whatever it says of a
/// grafted one it says of the slice. Where no such pair exists nothing else is known of the pair (it is blind), and only a refusal
/// can be told from it.
/// </summary>
internal sealed class SliceContext
{
    private static readonly ParameterDescriptor On = new("probe", ParameterType.Number, ParameterComparator.Equal, "1", "0");
    private static readonly ParameterDescriptor Probe = On with { Value = "0", Supported = SupportedValues.Range(0, 1) };

    private readonly ISlicedHandler _handler;
    private readonly Candidate _pair;

    private SliceContext(ISlicedHandler handler, Candidate pair, bool isBlind) => (_handler, _pair, IsBlind) = (handler, pair, isBlind);

    internal bool IsBlind { get; }

    internal VersionAnswer Answer => _pair.Answer;

    internal bool IsTemplate => _pair.Destination.Kind == DescriptorKind.Template;

    /// <param name="candidates">pairs that the handler does not pass on.</param>
    internal static SliceContext Find(ISlicedHandler handler, IEnumerable<Candidate> candidates)
    {
        Candidate? first = null;
        foreach (var candidate in candidates)
        {
            first ??= candidate;
            var bare = candidate with
            {
                Source = candidate.Source with { Parameters = [] },
                Destination = candidate.Destination with { Parameters = [] },
            };
            if (handler.Judge(bare) is Compatible) return new SliceContext(handler, bare, isBlind: false);
        }
        return new SliceContext(handler, new Candidate(Known(first!.Source), Known(first.Destination)), isBlind: true);
        static DeviceDescriptor Known(DeviceDescriptor of) => DescriptorSlice.Schemes.Graft(DeviceDescriptor.Empty(of.Kind), of);
    }

    internal DeviceDescriptor Source(DescriptorSlice slice, DeviceDescriptor from) => slice.Graft(_pair.Source, from);

    internal DeviceDescriptor Offer(DescriptorSlice slice, DeviceDescriptor from) => slice.Graft(_pair.Destination, from);

    internal DeviceDescriptor Source(IReadOnlyList<ParameterDescriptor> parameters) => _pair.Source with { Parameters = parameters };

    internal DeviceDescriptor Offer(IReadOnlyList<ParameterDescriptor> parameters) => _pair.Destination with { Parameters = parameters };

    /// <summary>As <see cref="Judge"/>, with parameters that agree although the template's own values are others than the source's.</summary>
    internal VerdictKind JudgeRecreated(DeviceDescriptor source, DeviceDescriptor template) =>
        Judge(Recreating(source), Recreated(template), Answer);

    internal static DeviceDescriptor Recreating(DeviceDescriptor source) => source with { Parameters = [On] };

    internal static DeviceDescriptor Recreated(DeviceDescriptor template) => template with { Parameters = [Probe] };

    /// <summary>Of what <c>Source</c> and <c>Offer</c> made.</summary>
    internal VerdictKind Judge(DeviceDescriptor source, DeviceDescriptor offer, VersionAnswer answer) =>
        _handler.Judge(new Candidate(source, offer, answer))?.Kind() is { } kind && !(IsBlind && kind != VerdictKind.Incompatible)
            ? kind : VerdictKind.Compatible;
}
