namespace MigrationCluster.Protocol.Compatibility;

/// <summary>
/// What rules found of one candidate; hand it on by reference. A refusal is a fact that says no, a doubt is something that nobody
/// could tell. One refusal makes it Incompatible, with the doubts listed too: who removes the refusals meets them next. Only doubts make
/// it Unknown. As long as nothing is found nothing is allocated: a fleet's matrix asks millions of times.
/// </summary>
public struct Findings
{
    private const int ShownCharacters = 256;

    private static readonly Compatible Plain = new(default, []);

    private List<CompatibilityReason>? _refusals;
    private List<CompatibilityReason>? _doubts;
    private List<string>? _dropped;

    /// <summary>Minor versions the destination is ahead, for the rank.</summary>
    public int MinorSteps { get; set; }

    /// <summary>The destination's bugfix number, for the rank.</summary>
    public int Bugfix { get; set; }

    public void Refuse(
        string code, string expected, string actual, string remedy, CompatibilitySide side = CompatibilitySide.Destination) =>
        (_refusals ??= []).Add(new CompatibilityReason(code, Shown(expected), Shown(actual), side, remedy));

    public void Doubt(
        string code, string expected, string actual, string remedy, CompatibilitySide side = CompatibilitySide.Destination) =>
        (_doubts ??= []).Add(new CompatibilityReason(code, Shown(expected), Shown(actual), side, remedy));

    /// <summary>The destination drops this optional state section.</summary>
    public void Drop(string section) => (_dropped ??= []).Add(section);

    public readonly Verdict ToVerdict() => (_refusals, _doubts) switch
    {
        ({ } refusals, { } doubts) => new Incompatible([.. refusals, .. doubts]),
        ({ } refusals, null) => new Incompatible(refusals),
        (null, { } doubts) => new Unknown(doubts),
        _ when _dropped is null && MinorSteps == 0 && Bugfix == 0 => Plain,
        _ => new Compatible(new CompatibilityRank(_dropped?.Count ?? 0, MinorSteps, Bugfix), _dropped ?? []),
    };

    /// <summary>A descriptor's texts may be thousands of characters long, and a verdict may have a thousand reasons.</summary>
    private static string Shown(string text)
    {
        if (text.Length <= ShownCharacters) return text;
        int cut = char.IsHighSurrogate(text[ShownCharacters - 1]) ? ShownCharacters - 1 : ShownCharacters;
        return $"{text.AsSpan(0, cut)}… ({text.Length} characters)";
    }
}
