using MigrationCluster.Api;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Coordination;

/// <summary>Turns a migration's journal into what the API shows.</summary>
public static class MigrationViews
{
    public static MigrationView Of(
        CoordinatorState state, IReadOnlyList<CoordinatorEvent> events, ProgressView progress, long version)
    {
        var plan = state.Plan!;
        var startedAt = events[0].At;
        return new MigrationView(
            plan.Migration.Value, version, plan.Guest.Value, plan.Source.Value, plan.Destination.Value,
            state.Phase.ToString(), OutcomeOf(state), plan.Fence.Epoch.Value, (int)plan.MaxDowntime.TotalMilliseconds,
            startedAt, IsOver(state) ? events[^1].At : null,
            [.. PhasesOf(events, startedAt)], ProgressOf(progress, IterationsOf(events)) with { Stall = StallOf(events) },
            ReasonViews.Of(state.Reasons),
            state.Phase == MigrationPhase.Completed ? ReportOf(state, events, startedAt) : null,
            PlanOf(plan, events), Heard<IncomingDiscarded>(events).FirstOrDefault()?.ReceivedBytes,
            MaxBytesPerSecond: state.MaxBytesPerSecond);
    }

    /// <summary>A fact of the view, never of the journal: who cannot read the row cannot write it down either.</summary>
    public static MigrationView InDoubt(MigrationView view, DateTimeOffset since, string why) => view with
    {
        Phase = "InDoubt",
        Outcome = Outcomes.InDoubt,
        Doubt = new DoubtView(since, why,
            $"the coordinator asks on and decides as soon as the row of {view.Guest} can be read: committed, {view.Destination} runs it; " +
            $"aborted, {view.Source} does. Until then neither host may; bring the store back, nothing else is needed"),
    };

    /// <summary>What planning found and was accepted; where the real devices have told what they drop, their word counts.</summary>
    private static PlanView? PlanOf(MigrationPlan plan, IReadOnlyList<CoordinatorEvent> events)
    {
        if (plan.Findings is not { } findings) return null;
        var confirmed = Heard<SetupConfirmed>(events).FirstOrDefault();
        return new PlanView(
            plan.UnknownAcceptedBy,
            ReasonViews.Of(findings.Unknown.Concat(confirmed?.Unknown ?? []).DistinctBy(why => (why.Device, why.Code, why.Message))),
            [.. (confirmed is null ? findings.Dropped : confirmed.Dropped ?? [])
                .Select(dropped => new DroppedSectionsView(dropped.Device, dropped.Sections))],
            ReasonViews.Of(findings.NoWayBack),
            [.. findings.PassedOver.Select(host => new PassedOverView(host.Host.Value, host.Rank, ReasonViews.Of(host.Reasons)))],
            findings.Quiesce is { } quiesce ? new QuiesceView(quiesce.Groups, [.. quiesce.Costs]) : null,
            plan.PlainAcceptedBy);
    }

    /// <summary>Over for the operator: the guest has its owner. A copy the source is slow to release is residue.</summary>
    private static bool IsOver(CoordinatorState state) =>
        state.Ended || (state.Phase == MigrationPhase.Completed && state.ReleaseOverdue);

    public static string OutcomeOf(CoordinatorState state) => state switch
    {
        { Phase: MigrationPhase.GuestLost } => Outcomes.GuestLost,
        _ when !IsOver(state) => Outcomes.Running,
        { Phase: MigrationPhase.Completed } => Outcomes.Completed,
        { Phase: MigrationPhase.Cancelled } => Outcomes.Cancelled,
        _ => Outcomes.OfRollback(state.Refused, [.. state.Reasons.Select(reason => reason.Code)]),
    };

    private static IEnumerable<PhaseView> PhasesOf(IReadOnlyList<CoordinatorEvent> events, DateTimeOffset startedAt) =>
        events.OfType<CoordinatorEvent.PhaseEntered>()
            .Select(entered => new PhaseView(entered.Phase.ToString(), (entered.At - startedAt).TotalMilliseconds));

    private static ProgressView ProgressOf(ProgressView latest, List<IterationView> passes) =>
        latest with { Iteration = Math.Max(latest.Iteration, passes.Count), Passes = passes };

    /// <summary>As the last pass found it, with the pass that found one first.</summary>
    private static StallView? StallOf(IReadOnlyList<CoordinatorEvent> events)
    {
        var passes = Heard<IterationFinished>(events).ToList();
        return passes.LastOrDefault()?.Stall is { } stall
            ? ConvergenceViews.Of(stall, passes.First(pass => pass.Stall is not null).Iteration)
            : null;
    }

    private static List<IterationView> IterationsOf(IReadOnlyList<CoordinatorEvent> events) =>
    [
        .. Heard<IterationFinished>(events).Select(pass => new IterationView(
            pass.Iteration, pass.Pages, pass.Bytes, pass.Duration.TotalMilliseconds, pass.DirtyBytesPerSecond,
            pass.RemainingBytes, pass.Predicted is { IsEndless: false } predicted ? predicted.P50.TotalMilliseconds : null,
            pass.Pass?.ThrottlePercent ?? 0)),
    ];

    /// <returns>null: the source died before it had told what it did, and nobody else can.</returns>
    private static ReportView? ReportOf(CoordinatorState state, IReadOnlyList<CoordinatorEvent> events, DateTimeOffset startedAt)
    {
        if (state is not { Sent: { } sent, Verified: { } verified, Setup: { } setup }
            || Heard<MachinePaused>(events).FirstOrDefault() is not { } paused || Heard<ReadyToSwitch>(events).LastOrDefault() is not { } ready)
            return null;
        var resumedAt = Heard<GuestResumed>(events).First().At;
        var components = DowntimeOf(events, paused.At, sent, resumedAt, ready.Predicted);
        long deviceBytes = sent.Totals.DeviceBytes.Values.Sum();
        var passes = Heard<IterationFinished>(events).ToList();
        double passSeconds = passes.Sum(pass => pass.Duration.TotalSeconds);
        return new ReportView(
            (resumedAt - startedAt).TotalMilliseconds,
            components.Sum(component => component.Ms),
            components,
            IterationsOf(events),
            new BytesView(sent.Totals.PageBytes, sent.Totals.ZeroBytes, deviceBytes, sent.Totals.ProtocolBytes, sent.Totals.ResentBytes),
            passSeconds > 0 ? passes.Sum(pass => pass.Bytes) / passSeconds : 0,
            ready.PredictedDowntime.TotalMilliseconds,
            [.. DevicesOf(setup, sent, verified, events)],
            ResidueOf(state, events),
            Math.Max(Heard<TransferOpened>(events).Count() - 1, 0),
            sent.RamDigest, ConvergenceViews.Of(ready.Predicted));
    }

    /// <summary>Each component runs from the one before to its own end; times of two hosts are compared, so none may be negative.</summary>
    private static List<DowntimeComponentView> DowntimeOf(
        IReadOnlyList<CoordinatorEvent> events, DateTimeOffset pausedAt, FinalStateSent sent, DateTimeOffset resumedAt,
        DowntimePrediction? predicted)
    {
        var at = pausedAt;
        var components = new List<DowntimeComponentView>();
        void Until(string component, DateTimeOffset? end)
        {
            var reached = end is { } known && known > at ? known : at;
            components.Add(new DowntimeComponentView(
                component, (reached - at).TotalMilliseconds, predicted?.Components.FirstOrDefault(part => part.Name == component)?.P50Ms));
            at = reached;
        }

        var decided = events.OfType<CoordinatorEvent.DecisionRead>().FirstOrDefault();
        Until("quiesce", Heard<GroupQuiet>(events).FirstOrDefault()?.At);
        Until("stop", Heard<DevicesStopped>(events).FirstOrDefault()?.At);
        if (sent.Timings is { } timings) Until("final-bitmap", at + TimeSpan.FromMilliseconds(timings.BitmapMs));
        Until("final-pages", sent.PagesSentAt);
        Until("device-state", sent.Timings?.DevicesSentAt ?? sent.At);
        if (sent.Timings is not null) Until("load", sent.At);
        Until("verify", Heard<DestinationVerified>(events).FirstOrDefault()?.At);
        Until("yield", Heard<GuestYielded>(events).FirstOrDefault()?.At);
        Until("commit", decided?.At);
        Until("resume", resumedAt);
        return components;
    }

    private static IEnumerable<DeviceReportView> DevicesOf(
        SetupCollected setup, FinalStateSent sent, DestinationVerified verified, IReadOnlyList<CoordinatorEvent> events)
    {
        var released = Heard<GuestReleased>(events).FirstOrDefault();
        foreach (var record in setup.Records.Where(record => record.Device != "machine"))
        {
            string source = released?.ContentDigests.GetValueOrDefault(record.Device) ?? "";
            string destination = verified.ContentDigests.GetValueOrDefault(record.Device) ?? "";
            yield return new DeviceReportView(
                record.Device, record.Descriptor.Model ?? "unknown", sent.Totals.DeviceBytes.GetValueOrDefault(record.Device),
                source, destination, source.Length > 0 && source == destination);
        }
    }

    private static IReadOnlyList<string> ResidueOf(CoordinatorState state, IReadOnlyList<CoordinatorEvent> events)
    {
        if (!state.SourceDone)
            return [$"{state.Plan!.Source} has not released its stopped copy of {state.Plan.Guest}; it is asked on"];
        return Heard<GuestReleased>(events).FirstOrDefault()?.Residue ?? [];
    }

    private static IEnumerable<T> Heard<T>(IEnumerable<CoordinatorEvent> events) where T : AgentEvent =>
        events.OfType<CoordinatorEvent.Observed>().Select(observed => observed.Event).OfType<T>();
}
