using System.Text.Json.Serialization;

namespace MigrationCluster.Api;

/// <summary>Go over what stands now, and set right what can be proved.</summary>
/// <param name="Migration">this one's guest only; null: every guest.</param>
/// <param name="DeadHost">a host that somebody has made sure is dead for good; null: none.</param>
/// <param name="By">who has, recorded in the journal; needed with <paramref name="DeadHost"/>.</param>
public sealed record ReconcileRequest(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Migration = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? DeadHost = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null);

/// <param name="Deviations">empty: everything is as rows and journals say.</param>
public sealed record ReconcileView(IReadOnlyList<DeviationView> Deviations);

/// <summary>Something that is not as the row and the journals say.</summary>
/// <param name="Code">stable, e.g. incoming.left-over.</param>
/// <param name="Done">what was done about it; null: nothing.</param>
/// <param name="Needed">the evidence or the act that is missing; null: nothing is.</param>
public sealed record DeviationView(
    string Code,
    string What,
    IReadOnlyList<string> Evidence,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Done = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Needed = null);
