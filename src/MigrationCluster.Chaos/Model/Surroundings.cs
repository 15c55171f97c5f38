namespace MigrationCluster.Chaos.Model;

/// <summary>
/// What the harness itself models of the product, because it is not a pure machine: the guest process, an agent's restart, the
/// coordinators' store. As the product is; a planted bug overrides what it breaks.
/// </summary>
internal class Surroundings
{
    /// <summary>A journal append checks the writer's term in the same transaction.</summary>
    public virtual bool AppendChecksTerm => true;

    /// <summary>An order to discard kills whatever lives here.</summary>
    public virtual bool DiscardsWhatRuns => false;

    /// <summary>A pass failed after it had read, and so cleared, dirty logs: what was not acknowledged is retained.</summary>
    public virtual ModelGuest IterationBroke(ModelGuest guest) => guest;

    /// <summary>All that is dirty is sent: bitmaps were read after the last device had stopped.</summary>
    public virtual ModelGuest FinalPagesSent(ModelGuest guest) => guest with { Debt = Debt.None };

    /// <summary>What a dead process leaves behind: its fence file.</summary>
    public virtual ModelGuest Die(ModelGuest guest) => guest.Die();

    /// <summary>A daemon came back and found this guest process: guests outlive the daemon.</summary>
    /// <param name="sessionOpen">a session of this host that has not ended knows of the guest.</param>
    public virtual ModelGuest Adopt(ModelGuest guest, bool sessionOpen) => guest;

    /// <summary>Whether a pause deadline may pass here now.</summary>
    public virtual bool DeadlineMayPass(ModelGuest guest) => guest.WaitsForItsDeadline;

    public virtual ModelGuest KeepItself(ModelGuest guest) => guest.KeepItself();
}
