using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Planting;

/// <summary>A daemon that comes back knows of no session, and takes that for a guest that nobody needs.</summary>
internal sealed class TakesAnEmptyCacheForAbsence : Surroundings
{
    public override ModelGuest Adopt(ModelGuest guest, bool sessionOpen) => sessionOpen ? guest : Die(guest);
}

/// <summary>An order to discard kills whatever lives there.</summary>
internal sealed class DiscardsWhatRunsHere : Surroundings
{
    public override bool DiscardsWhatRuns => true;
}

/// <summary>What a pass read, and so cleared, is forgotten when the pass breaks.</summary>
internal sealed class ForgetsWhatItCleared : Surroundings
{
    public override ModelGuest IterationBroke(ModelGuest guest) => guest with { Debt = Debt.Forgotten };
}

/// <summary>A coordinator looks at its lease, then writes: the write does not look again.</summary>
internal sealed class ChecksTheLeaseBeforeTheWrite : Surroundings
{
    public override bool AppendChecksTerm => false;
}

/// <summary>A fence and its votes die with the process: the file holds what it was launched with.</summary>
internal sealed class KeepsTheEpochInMemory : Surroundings
{
    public override ModelGuest Die(ModelGuest guest) => guest.Die() with
    {
        Fence = new FenceRecord(guest.Fence.Guest, new Fence(new Epoch(1), new Term(1)), guest.Fence.Role),
    };
}

/// <summary>The pause deadline is not taken back by the vote Yielded.</summary>
internal sealed class ResumesAfterTheYield : Surroundings
{
    public override bool DeadlineMayPass(ModelGuest guest) => guest is { Alive: true, HasDeadline: true, MachineRuns: false };

    public override ModelGuest KeepItself(ModelGuest guest) => guest.RunAll();
}

/// <summary>The last bitmaps are read while devices are P2P-quiet: what they write until they stop, nobody knows of.</summary>
internal sealed class ReadsTheLastBitmapsEarly : Surroundings
{
    public override ModelGuest FinalPagesSent(ModelGuest guest) => guest with { Debt = Debt.Forgotten };
}
