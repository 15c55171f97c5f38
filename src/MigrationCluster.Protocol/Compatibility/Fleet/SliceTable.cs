using System.Numerics;
using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// What one handler's slices refuse and doubt, a bit a pair. Each distinct pair of a slice's forms is judged once; a row of it is combined
/// with the rows of all sources of that form, 64 offers at a time.
/// </summary>
internal sealed class SliceTable(IReadOnlyList<DeviceDescriptor> sources, IReadOnlyList<DeviceDescriptor> offers,
    Func<int, int, VersionAnswer> answer, SliceContext context)
{
    private const int Answers = (int)VersionAnswer.NotMigratable + 1;

    private readonly int[] _sourceForms = new int[sources.Count], _offerForms = new int[offers.Count];

    /// <summary>Pairs set from the start are not looked at.</summary>
    internal BitRows Refused { get; } = new(sources.Count, offers.Count);

    internal BitRows Unsure { get; } = new(sources.Count, offers.Count);

    internal void Judge()
    {
        Add(DescriptorSlice.Schemes, answer);
        foreach (var slice in DescriptorSlice.Others) Add(slice, (_, _) => context.Answer);
        foreach (var column in ParameterColumn.Of(sources, offers).Values)
        {
            column.Read(_sourceForms, _offerForms);
            var from = new DeviceDescriptor?[column.Sources.Count];
            var to = new DeviceDescriptor?[column.Offers.Count];
            Combine(from.Length, to.Length, (_, _) => context.Answer, (source, offer, answered) => context.Judge(
                    from[source] ??= context.Source(column.Sources[source]), to[offer] ??= context.Offer(column.Offers[offer]), answered),
                context.IsTemplate ? NumberRanges.Of(column, _offerForms) : null);
        }
        AddShape();
    }

    private void Add(DescriptorSlice slice, Func<int, int, VersionAnswer> answered)
    {
        var from = Forms(slice, sources, _sourceForms, context.Source);
        var to = Forms(slice, offers, _offerForms, context.Offer);
        Combine(from.Count, to.Count, answered, (source, offer, answer) =>
            from[source] is { } s && to[offer] is { } o ? context.Judge(s, o, answer) : VerdictKind.Compatible);
    }

    /// <summary>
    /// A template's shape is that of its own parameter values; created with others it may have another. So what a differing shape is worth
    /// depends on the parameters: a slice of its own only where it does not.
    /// </summary>
    private void AddShape()
    {
        var from = Forms(DescriptorSlice.Shape, sources, _sourceForms, context.Source);
        var to = Forms(DescriptorSlice.Shape, offers, _offerForms, context.Offer);
        var kept = new VerdictKind[from.Count, to.Count];
        var recreated = new VerdictKind[from.Count, to.Count];
        bool depends = false;
        for (int source = 0; source < from.Count; source++)
            for (int offer = 0; offer < to.Count; offer++)
            {
                kept[source, offer] = recreated[source, offer] = context.Judge(from[source]!, to[offer]!, context.Answer);
                if (!context.IsTemplate) continue;
                recreated[source, offer] = context.JudgeRecreated(from[source]!, to[offer]!);
                depends |= kept[source, offer] != recreated[source, offer];
            }
        if (!depends)
        {
            Combine(from.Count, to.Count, (_, _) => context.Answer, (source, offer, _) => kept[source, offer]);
            return;
        }
        int[] sourceShapes = [.. _sourceForms], offerShapes = [.. _offerForms];
        for (int i = 0; i < _sourceForms.Length; i++) _sourceForms[i] = i;
        for (int i = 0; i < _offerForms.Length; i++) _offerForms[i] = i;
        Combine(sources.Count, offers.Count, (_, _) => context.Answer, (source, offer, _) =>
        {
            var (asKept, asRecreated) = (
                kept[sourceShapes[source], offerShapes[offer]], recreated[sourceShapes[source], offerShapes[offer]]);
            return asKept == asRecreated || ParameterRule.SameValues(sources[source].Parameters, offers[offer].Parameters)
                ? asKept : asRecreated;
        });
    }

    /// <summary>Numbers the distinct forms of a slice, and makes one grafted descriptor of each; null where there is nothing to judge.</summary>
    private static List<DeviceDescriptor?> Forms(DescriptorSlice slice, IReadOnlyList<DeviceDescriptor> of, int[] forms,
        Func<DescriptorSlice, DeviceDescriptor, DeviceDescriptor> graft)
    {
        var keys = new ContentKeys();
        var distinct = new List<DeviceDescriptor?>();
        for (int i = 0; i < of.Count; i++)
        {
            slice.Write(keys, of[i]);
            forms[i] = keys.Number(out bool isNew);
            if (isNew) distinct.Add(slice.Has is { } has && !has(of[i]) ? null : graft(slice, of[i]));
        }
        return distinct;
    }

    /// <summary>Judges each pair of forms that still matters to some source, and adds what it refuses or doubts.</summary>
    private void Combine(int fromForms, int toForms, Func<int, int, VersionAnswer> answered,
        Func<int, int, VersionAnswer, VerdictKind> judge, NumberRanges? ranges = null)
    {
        var byForm = new List<int>?[fromForms];
        for (int source = 0; source < _sourceForms.Length; source++) (byForm[_sourceForms[source]] ??= []).Add(source);
        var known = new VerdictKind[toForms * Answers];
        ulong[] closed = new ulong[Refused.Words], refused = new ulong[Refused.Words], unsure = new ulong[Refused.Words];
        for (int form = 0; form < fromForms; form++)
        {
            if (byForm[form] is not { } same) continue; // form 0 of a parameter that every source has
            Array.Fill(closed, ulong.MaxValue);
            foreach (int source in same) BitRows.And(closed, Refused.Row(source));
            Array.Clear(refused);
            Array.Clear(unsure);
            Array.Clear(known);
            bool any = false;
            for (int word = 0; word < closed.Length; word++)
            {
                ulong left = ~closed[word];
                if (left != 0 && ranges?.Number(form) is { } number)
                {
                    refused[word] = ranges.Outside(word, number) & left;
                    any |= refused[word] != 0;
                    left &= ranges.Others(word);
                }
                for (; left != 0; left &= left - 1)
                {
                    int offer = word * 64 + BitOperations.TrailingZeroCount(left);
                    if (offer >= _offerForms.Length) break;
                    var answer = answered(same[0], offer);
                    ref var kind = ref known[_offerForms[offer] * Answers + (int)answer];
                    if (kind == VerdictKind.Absent) kind = judge(form, _offerForms[offer], answer);
                    if (kind == VerdictKind.Compatible) continue;
                    any = true;
                    (kind == VerdictKind.Unknown ? unsure : refused)[word] |= left & ~(left - 1);
                }
            }
            if (!any) continue;
            foreach (int source in same)
            {
                BitRows.Or(Refused.Row(source), refused);
                BitRows.Or(Unsure.Row(source), unsure);
            }
        }
    }
}
