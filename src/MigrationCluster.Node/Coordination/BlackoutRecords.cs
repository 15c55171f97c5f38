using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Node.Coordination;

/// <summary>What a migration's journal says of its blackout.</summary>
public static class BlackoutRecords
{
    /// <summary>What agents say is heard at once, unless something stands still.</summary>
    private const double HeardWithinMs = 1000;

    /// <returns>null: the guest did not move, somebody who measured nothing moved it, a death or a lost connection was in it, which is not
    /// what the next one will cost, or a host's clock was set meanwhile, so that nobody knows what it cost.</returns>
    public static BlackoutRecord? Of(CoordinatorState state, IReadOnlyList<CoordinatorEvent> events)
    {
        var heard = events.OfType<CoordinatorEvent.Observed>().Select(observed => observed.Event).ToList();
        var passes = heard.OfType<IterationFinished>().ToList();
        if (events.Any(e => e is CoordinatorEvent.TookOver) || heard.Any(e => e is TransferLost or TransferClosed or TransferReopened)) return null;
        if (state is not { Plan: { } plan, Sent: { Timings: { } timings } sent, Setup: { } setup, Verified: { } verified }
            || heard.OfType<MachinePaused>().FirstOrDefault() is not { } paused || heard.OfType<DevicesStopped>().FirstOrDefault() is not { } stopped
            || heard.OfType<GuestYielded>().FirstOrDefault() is not { } yielded || heard.OfType<GuestResumed>().FirstOrDefault() is not { } resumed
            || events.OfType<CoordinatorEvent.DecisionRead>().FirstOrDefault() is not { } decided
            || passes.LastOrDefault() is not { Pass: not null } last)
            return null;

        var observations = passes.Where(pass => pass.Pass is not null).Select(pass => pass.Pass!).ToList();
        var bitmapRead = stopped.At + TimeSpan.FromMilliseconds(timings.BitmapMs);
        var predicted = heard.OfType<ReadyToSwitch>().LastOrDefault()?.Predicted;
        double switchDelay = Ms(last.At, paused.At), load = Ms(Later(sent.PagesSentAt, timings.DevicesSentAt), sent.At), total = Ms(paused.At, resumed.At);
        double pages = Ms(bitmapRead, sent.PagesSentAt), verify = Ms(sent.At, verified.At), yield = Ms(verified.At, yielded.At);
        double commit = Ms(yielded.At, decided.At), resume = Ms(decided.At, resumed.At);
        double steps = Ms(paused.At, bitmapRead) + pages + load + verify + yield + commit + resume;
        double heardTotal = HeardBetween(events, paused, resumed);
        if (!Agree(total, heardTotal) || steps > total && !Agree(steps, heardTotal) || !Agree(switchDelay, HeardBetween(events, last, paused))) return null;
        return new BlackoutRecord(
            plan.Source.Value, plan.Destination.Value,
            switchDelay, timings.BitmapMs, pages, timings.PageBytes, timings.ColdBytes, load, verify, yield, commit, resume, total,
            [.. timings.Devices.Select(device => Device(device, setup, observations))],
            BandwidthEstimate.Of(observations, capped: false).BytesPerSecond,
            predicted is { IsEndless: false } ? PredictedBlackout.Of(predicted) : null)
        {
            Guest = plan.Guest.Value,
            Passes = observations,
            Preparation = events.OfType<CoordinatorEvent.PhaseEntered>().FirstOrDefault(entered => entered.Phase == MigrationPhase.PreCopy) is { } preCopy
                ? Ms(events[0].At, preCopy.At)
                : null,
        };
    }

    /// <summary>Whether pre-copy was given up for what blackouts are learned to cost: nothing that the guest or the link did better would have helped.</summary>
    public static bool WasTooDear(IReadOnlyList<CoordinatorEvent> events)
    {
        var heard = events.OfType<CoordinatorEvent.Observed>().Select(observed => observed.Event).ToList();
        return heard.OfType<SourceFailed>().Any(failed => failed.Code == SourceMachine.NoConvergence)
            && heard.OfType<IterationFinished>().LastOrDefault() is { Stall.Cause: StallCause.FixedCosts or StallCause.SlowDevice };
    }

    private static DeviceBlackout Device(DeviceTimings device, SetupCollected setup, List<PassObservation> passes)
    {
        var (began, ended) = (Find(passes[0], device.Device), Find(passes[^1], device.Device));
        string model = setup.Records.FirstOrDefault(record => record.Device == device.Device)?.Descriptor.Model ?? device.Device;
        return new DeviceBlackout(
            model, device.QuiesceMs, device.StopMs, began?.SentBytes ?? 0, ended is null ? 0 : ended.InitialBytes + ended.DirtyBytes,
            device.FinalBytes, device.FinalMs, device.LoadMs, DowntimePredictor.PassRate(passes, device.Device));
    }

    private static DevicePass? Find(PassObservation pass, string device) => pass.Devices?.FirstOrDefault(seen => seen.Name == device);

    /// <summary>By the coordinator's own clock.</summary>
    private static double HeardBetween(IReadOnlyList<CoordinatorEvent> events, AgentEvent from, AgentEvent to)
    {
        DateTimeOffset Heard(AgentEvent e) => events.OfType<CoordinatorEvent.Observed>().First(observed => ReferenceEquals(observed.Event, e)).At;
        return (Heard(to) - Heard(from)).TotalMilliseconds;
    }

    private static bool Agree(double byHosts, double heard) => Math.Abs(byHosts - heard) <= HeardWithinMs + heard / 2;

    /// <summary>Of two hosts' clocks, which may differ by a little.</summary>
    private static double Ms(DateTimeOffset from, DateTimeOffset to) => Math.Max(0, (to - from).TotalMilliseconds);

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;
}
