using MigrationCluster.Devices.Faults;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Engine;

/// <summary>Failpoints around every swap of a guest's row, named for what the row's decision turns into: Settled (a guest is started
/// or stopped), Undecided (an attempt is opened), Committed, Aborted.</summary>
public sealed class FailpointRows(IGuestRows rows) : IGuestRows
{
    private const string Scope = "row";

    public static IReadOnlyList<string> Names { get; } =
        [.. Enum.GetNames<OwnershipDecision>().SelectMany(decision => Failpoints.Around(Scope, decision))];

    public ValueTask<GuestRecord?> ReadAsync(GuestName guest, CancellationToken cancellationToken) =>
        rows.ReadAsync(guest, cancellationToken);

    public ValueTask<IReadOnlyList<GuestRecord>> ListAsync(CancellationToken cancellationToken) =>
        rows.ListAsync(cancellationToken);

    public async ValueTask<bool> CompareAndSwapAsync(
        GuestRecord? expected, GuestRecord next, CancellationToken cancellationToken)
    {
        string decision = next.Row.Decision.ToString();
        Failpoints.Reach(Scope, "before", decision);
        bool swapped = await rows.CompareAndSwapAsync(expected, next, cancellationToken);
        if (swapped) Failpoints.Reach(Scope, "after", decision);
        return swapped;
    }
}
