namespace MigrationCluster.Protocol.Compatibility;

/// <summary>
/// What rules found of one candidate; hand it on by reference. A refusal is a fact that says no, a doubt is something that nobody
/// could tell. One refusal makes it Incompatible, with the doubts listed too: who removes the refusals meets them next. Only doubts make
/// it Unknown. As long as nothing is found nothing is allocated: a fleet's matrix asks millions of times.
/// </summary>
public struct Findings
{
    private const int ShownCharacters = 256;

    /// <summary>
    /// Of refusals and of doubts. No two devices of a kind differ in this much; a hostile descriptor does, and its verdict still has to fit into
    /// a reply of 1 MiB: 2 x 96 reasons of 3 texts of 280 characters of 6 bytes each.
    /// </summary>
    private const int MostReasons = 96;

    private static readonly Compatible Plain = new(default, []);

    private List<CompatibilityReason>? _refusals;
    private List<CompatibilityReason>? _doubts;
    private List<string>? _dropped;
    private int _more;

    /// <summary>Minor versions the destination is ahead, for the rank.</summary>
    public int MinorSteps { get; set; }

    /// <summary>The destination's bugfix number, for the rank.</summary>
    public int Bugfix { get; set; }

    public void Refuse(
        string code, string expected, string actual, string remedy, CompatibilitySide side = CompatibilitySide.Destination) =>
        Add(ref _refusals, code, expected, actual, remedy, side);

    public void Doubt(
        string code, string expected, string actual, string remedy, CompatibilitySide side = CompatibilitySide.Destination) =>
        Add(ref _doubts, code, expected, actual, remedy, side);

    /// <summary>The destination drops this optional state section.</summary>
    public void Drop(string section) => (_dropped ??= []).Add(section);

    public readonly Verdict ToVerdict()
    {
        if (_refusals is not null) return new Incompatible([.. _refusals, .. _doubts ?? [], .. More()]);
        if (_doubts is not null) return new Unknown([.. _doubts, .. More()]);
        return _dropped is null && MinorSteps == 0 && Bugfix == 0
            ? Plain
            : new Compatible(new CompatibilityRank(_dropped?.Count ?? 0, MinorSteps, Bugfix), _dropped ?? []);
    }

    private void Add(
        ref List<CompatibilityReason>? reasons, string code, string expected, string actual, string remedy, CompatibilitySide side)
    {
        reasons ??= [];
        if (reasons.Count < MostReasons)
            reasons.Add(new CompatibilityReason(code, Shown(expected), Shown(actual), side, Shown(remedy)));
        else
            _more++;
    }

    private readonly IEnumerable<CompatibilityReason> More() => _more == 0 ? [] :
    [
        new CompatibilityReason("device.more-reasons", "two devices of a kind", $"{_more} more reasons", CompatibilitySide.Destination,
            "see whether these are the devices that were meant"),
    ];

    /// <summary>A descriptor's texts may be thousands of characters long, and a verdict may have a thousand reasons.</summary>
    private static string Shown(string text)
    {
        if (text.Length <= ShownCharacters) return text;
        int cut = char.IsHighSurrogate(text[ShownCharacters - 1]) ? ShownCharacters - 1 : ShownCharacters;
        return $"{text.AsSpan(0, cut)}… ({text.Length} characters)";
    }
}
