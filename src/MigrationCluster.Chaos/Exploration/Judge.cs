using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>Holds states, and pairs of successive ones, against Protocol's invariants; asks about equal parts once.</summary>
internal sealed class Judge(Space space)
{
    private readonly Dictionary<(int Row, int A, int B), Violation?> _ownership = [];
    private readonly Dictionary<(int Before, int After, int RowBefore, int RowAfter), Violation?> _steps = [];
    private readonly Dictionary<(int Source, int Destination, int Session), Violation?> _transfers = [];

    public Violation? Check(ReadOnlySpan<int> before, ReadOnlySpan<int> after) =>
        CheckNow(after) ?? CheckStep(before, after, 0) ?? CheckStep(before, after, 1);

    private Violation? CheckNow(ReadOnlySpan<int> state)
    {
        var key = (state[Layout.Row], state[Layout.Guest], state[Layout.Guest + 1]);
        if (!_ownership.TryGetValue(key, out var violation))
            _ownership[key] = violation = OwnershipInvariants.Check(Observe(state[Layout.Row], key.Item2, key.Item3))
                .Concat(CheckGroup(key.Item2)).Concat(CheckGroup(key.Item3)).FirstOrDefault();
        return violation ?? CheckTransfer(state);
    }

    /// <summary>Once faults have stopped and nothing is left to do.</summary>
    public Violation? CheckHealed(ReadOnlySpan<int> state) => OwnershipInvariants
        .CheckHealed(Observe(state[Layout.Row], state[Layout.Guest], state[Layout.Guest + 1])).FirstOrDefault();

    private Violation? CheckTransfer(ReadOnlySpan<int> state)
    {
        int attempt = space.Begun(state) - 1;
        int source = state[Layout.Guest + space.HostOf(state, attempt, Side.Source)];
        int destination = state[Layout.Guest + space.HostOf(state, attempt, Side.Destination)];
        int session = state[Layout.At(attempt, Layout.Destination)];
        if (!_transfers.TryGetValue((source, destination, session), out var violation))
            _transfers[(source, destination, session)] = violation = Transfers.Check(
                space.Guests[source], space.Guests[destination], space.Destinations.States[session]).FirstOrDefault();
        return violation;
    }

    private Violation? CheckStep(ReadOnlySpan<int> before, ReadOnlySpan<int> after, int host)
    {
        var key = (before[Layout.Guest + host], after[Layout.Guest + host], before[Layout.Row], after[Layout.Row]);
        if (key.Item1 == key.Item2 && key.Item3 == key.Item4) return null;
        if (!_steps.TryGetValue(key, out var violation))
            _steps[key] = violation = OwnershipInvariants.CheckStep(
                Observe(key.Item3, key.Item1), Observe(key.Item4, key.Item2)).FirstOrDefault();
        return violation;
    }

    private IEnumerable<Violation> CheckGroup(int guest) => guest == 0
        ? []
        : GroupInvariants.Check([.. space.Guests[guest].Members], space.Guests[guest].Fence.Role == GuestRole.Incoming);

    private GuestObservation Observe(int row, params int[] guests) => new(
        space.Rows[row], [.. guests.Where(guest => guest != 0).Select(guest => space.Guests[guest].Observe())]);
}
