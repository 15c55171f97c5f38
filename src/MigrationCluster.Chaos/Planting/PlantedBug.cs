namespace MigrationCluster.Chaos.Planting;

/// <summary>
/// A named defect, most of them met in other projects. It is put around the product's machines here, in the harness; the product knows
/// nothing of it. A harness that does not find one of these would not find its like in the product either.
/// </summary>
/// <param name="Story">where it was met, or what it does.</param>
/// <param name="Configuration">the exploration in whose reach it is.</param>
internal sealed record PlantedBug(string Name, string Story, Build Build, string Configuration)
{
    public static readonly IReadOnlyList<PlantedBug> All =
    [
        new("unacknowledged-okay", "the source's final Okay is not acknowledged (Propolis)",
            Build.Product with { Coordinator = new UnacknowledgedOkay() }, "one-coordinator-two-crashes"),
        new("undecided-perform3-done", "a source restarted in PERFORM3_DONE leaves it to a third party (libvirt)",
            Build.Product with { Source = new StaysUndecided() }, "one-coordinator-two-crashes"),
        new("empty-cache-is-absence", "a restarted agent takes its empty cache for absence (KubeVirt 18763)",
            Build.Product with { Surroundings = new TakesAnEmptyCacheForAbsence() }, "one-coordinator-two-crashes"),
        new("target-declares-itself-owner", "the target declares itself the owner (KubeVirt 15373, 16622)",
            Build.Product with { Destination = new DeclaresItselfOwner() }, "one-coordinator-two-crashes"),
        new("undo-tears-down-destination", "the undo of a repeated step tears the running destination down (Omicron)",
            Build.Product with
            {
                Coordinator = new UndoesWhatRuns(),
                Destination = new DiscardsAnything(),
                Surroundings = new DiscardsWhatRunsHere(),
            },
            "one-coordinator-two-crashes"),
        new("dirty-log-lost", "a cleared dirty log is lost with the pass that had read it",
            Build.Product with { Surroundings = new ForgetsWhatItCleared() }, "failing-effects"),
        new("acks-of-another-incarnation", "what one destination acknowledged is taken for acknowledged by the next one",
            Build.Product with { Surroundings = new CountsAnotherIncarnation() }, "two-attempts"),
        new("lease-checked-before-write", "a lease is checked before, but not in, the write",
            Build.Product with { Surroundings = new ChecksTheLeaseBeforeTheWrite() }, "two-coordinators"),
        new("epoch-in-memory", "an epoch is kept only in memory",
            Build.Product with { Surroundings = new KeepsTheEpochInMemory() }, "one-coordinator-two-crashes"),
        new("resume-after-yield", "a source resumes after it has yielded",
            Build.Product with { Surroundings = new ResumesAfterTheYield() }, "one-coordinator-two-crashes"),
        new("commit-without-yield", "the decision is made without the source's vote",
            Build.Product with { Coordinator = new CommitsWithoutYield() }, "one-coordinator-two-crashes"),
        new("stop-before-quiet", "a device is stopped before its group is quiet",
            Build.Product with { Source = new StopsBeforeQuiet() }, "group-of-three"),
        new("run-before-quiet", "a device runs before its group is RunningP2P",
            Build.Product with { Destination = new RunsBeforeQuiet() }, "group-of-three"),
        new("last-bitmap-early", "the last bitmaps are read before the devices have stopped",
            Build.Product with { Surroundings = new ReadsTheLastBitmapsEarly() }, "group-of-three"),
        new("isolate-too-late", "a device that refuses its way back is taken to be in Error, and its peer runs into it",
            Build.Product with { Source = new IsolatesTooLate() }, "failing-effects"),
    ];

    /// <summary>Whether it is in the machines alone, and so can be in a real daemon just as in a simulated one.</summary>
    public bool IsInMachines => Build.Surroundings == Build.Product.Surroundings;

    /// <returns>null: there is none of that name.</returns>
    public static PlantedBug? Find(string? name) => All.FirstOrDefault(bug => bug.Name == name);

    public static string Names => string.Join(", ", All.Select(bug => bug.Name));
}
