namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>What a case came to; a line of matrix.jsonl.</summary>
/// <param name="Outcome">how its migration ended, see the constants, or "refused: CODE".</param>
/// <param name="Doubted">it was seen in doubt meanwhile.</param>
/// <param name="Struck">what struck, in order.</param>
/// <param name="Without">the guest ended without a device that was killed.</param>
/// <param name="RecoverySeconds">from the end of the last fault until all had come to rest; null: nothing struck, or no rest.</param>
/// <param name="Wrong">broken invariants, a hang, trouble of the run; empty: all held.</param>
internal sealed record MatrixResult(
    string Case, IReadOnlyList<Hit> Hits, string Outcome, bool Doubted, bool Without, IReadOnlyList<string> Struck, double? RecoverySeconds, double Seconds,
    IReadOnlyList<string> Wrong, string Commit)
{
    public const string Completed = "completed";
    public const string RolledBack = "rolled back";
    public const string Cancelled = "cancelled";
    public const string Lost = "guest lost";
    public const string NeverBegun = "never begun";
    public const string NotReached = "not reached";
    public const string NothingToStrike = "nothing to strike";
    public const string Hung = "hung";

    /// <summary>The outcome in the words of the table.</summary>
    public string Told => (Doubted ? "in doubt, " : "") + Outcome + (Without ? " without a device" : "");
}
