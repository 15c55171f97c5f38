namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// The source's self stands in the destination's compatible list. Only so: the older side cannot know the newer one, so the source's own
/// list says nothing of this direction.
/// </summary>
public static class ListRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        switch (candidate.Source.Lists, candidate.Destination.Lists)
        {
            case (null, null):
                return;
            case ({ Self.Count: 0 }, not null):
                findings.Doubt("device.lists-unknown", "a description of the source itself", "its self list is empty",
                    "use a driver that describes its device", CompatibilitySide.Source);
                return;
            case ({ } source, { } own):
                if (!IsListed(source.Self, own.Compatible)) Refuse(source.Self[0], own.Compatible, ref findings);
                return;
            case var (source, own):
                findings.Doubt("device.lists-unknown", Present(source), Present(own),
                    "use drivers that both give their self and compatible lists",
                    source is null ? CompatibilitySide.Source : CompatibilitySide.Destination);
                return;
        }
    }

    /// <summary>A device may describe itself in several ways, for older destinations too: one of them is enough.</summary>
    private static bool IsListed(
        IReadOnlyList<IReadOnlyDictionary<string, string>> self, IReadOnlyList<IReadOnlyDictionary<string, string>> compatible)
    {
        for (int i = 0; i < self.Count; i++)
            for (int j = 0; j < compatible.Count; j++)
                if (AttributeSet.Agrees(self[i], compatible[j])) return true;
        return false;
    }

    private static void Refuse(
        IReadOnlyDictionary<string, string> self, IReadOnlyList<IReadOnlyDictionary<string, string>> compatible, ref Findings findings)
    {
        var nearest = compatible.MinBy(listed => AttributeSet.Differences(self, listed).Count);
        findings.Refuse("device.not-listed", AttributeSet.Shown(self),
            nearest is null ? "an empty list" : $"nearest in its list differs in {string.Join(", ", AttributeSet.Differences(self, nearest))}",
            "use a destination whose driver lists this source: upgrade it, or choose another host");
    }

    private static string Present(CompatibilityLists? lists) => lists is null ? "no lists" : "lists";
}
