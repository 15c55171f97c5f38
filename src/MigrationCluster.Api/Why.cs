using System.Text.Json.Serialization;

namespace MigrationCluster.Api;

/// <summary>Who decided what about a migration, when, and on which evidence.</summary>
/// <param name="Timeline">in the order in which one could know of the other, not by the clocks of three hosts.</param>
/// <param name="Missing">evidence that could not be had, and what of this document lacks it; empty: nothing is missing.</param>
public sealed record WhyView(
    string Id,
    string Guest,
    string Source,
    string Destination,
    ulong Epoch,
    string Phase,
    string Outcome,
    IReadOnlyList<WhyEntryView> Timeline,
    WhyVerdictView Verdict,
    IReadOnlyList<string> Missing);

/// <param name="At">by the clock of whoever did it.</param>
/// <param name="Who">e.g. coordinator c1, source agent alpha, guest process on beta.</param>
/// <param name="Evidence">what it rests on; empty: it is a fact of its own.</param>
/// <param name="Term">of a coordinator; null: it was somebody else.</param>
public sealed record WhyEntryView(
    DateTimeOffset At,
    string Who,
    string What,
    IReadOnlyList<string> Evidence,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ulong? Term = null);

/// <param name="Owner">the one host that may run the guest now; null: none may, or nobody can say.</param>
/// <param name="Proof">what says so.</param>
public sealed record WhyVerdictView(string? Owner, string Statement, IReadOnlyList<string> Proof);
