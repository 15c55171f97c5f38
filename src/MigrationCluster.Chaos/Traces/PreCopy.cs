using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Chaos.Traces;

/// <summary>One migration of a trace: passes, one after the other, and what a blackout after the last of them would be.</summary>
internal sealed class PreCopy(GuestTrace trace)
{
    /// <summary>A pass takes as long however little it sends.</summary>
    private const double PassSeconds = 0.02;

    private readonly List<PassObservation> _passes = [];
    private double _from, _now; // between the last two readings of the dirty logs

    public IReadOnlyList<PassObservation> Passes => _passes;

    /// <summary>On the wire so far.</summary>
    public long SentBytes { get; private set; }

    public TimeSpan Elapsed => TimeSpan.FromSeconds(_now);

    public bool IsOver => _now >= GuestTrace.Seconds;

    public void Iterate()
    {
        long pages = _passes.Count == 0 ? trace.RamBytes : _passes[^1].PageBytes;
        var sent = trace.Devices.Select(device => _passes.Count == 0 ? device.InitialBytes : Dirty(device)).ToList();
        long bytes = pages + sent.Sum();
        double slowest = trace.Devices.Select((device, i) => sent[i] / device.BytesPerSecond).DefaultIfEmpty().Max();
        double seconds = PassSeconds + Math.Max(trace.SendSeconds(_now, bytes), slowest);
        (_from, _now) = (_now, _now + seconds);
        SentBytes += bytes;
        _passes.Add(new PassObservation(
            _passes.Count + 1, TimeSpan.FromSeconds(seconds), bytes, trace.Dirtied(_from, _now), DmaBytes: trace.Dirtied(_from, _now, dmaOnly: true),
            Devices: [.. trace.Devices.Select((device, i) => new DevicePass(
                device.Name, device.Model, device.HasPreCopy, 0, Dirty(device), sent[i], TimeSpan.FromSeconds(sent[i] / device.BytesPerSecond)))]));
    }

    /// <summary>What happens if the guest is paused now.</summary>
    public (long Bytes, BlackoutRecord Record) BlackOut(DowntimePrediction? predicted)
    {
        var costs = trace.Costs;
        double pause = _now + costs.SwitchDelay / 1000;
        long pages = trace.Dirtied(_from, pause);
        var devices = trace.Devices.Select(device =>
        {
            long known = Dirty(device), final = (long)device.Changed.Distinct(_from, pause) * (device.HasPreCopy ? 1 : 0) + device.FinalBytes;
            return new DeviceBlackout(
                device.Model, costs.Quiesce, costs.Stop, 0, known, final, costs.Final + final / device.BytesPerSecond * 1000, costs.DeviceLoad,
                DowntimePredictor.PassRate(_passes, device.Name));
        }).ToList();
        long bytes = pages + devices.Sum(device => device.FinalBytes);
        double pagesMs = costs.Pages + trace.SendSeconds(pause, pages) * 1000;
        double all = Math.Max(Math.Max(pagesMs, trace.SendSeconds(pause, bytes) * 1000), devices.Select(device => device.FinalMs).DefaultIfEmpty().Max());
        double load = costs.Load + Math.Max(0, devices.Select(device => device.FinalMs + device.LoadMs).DefaultIfEmpty().Max() - all);
        double stop = devices.Count > 0 ? costs.Quiesce + costs.Stop : 0;
        double total = stop + costs.Bitmap + all + load + costs.Verify + costs.Yield + costs.Commit + costs.Resume;
        return (bytes, new BlackoutRecord(
            "", "", costs.SwitchDelay, costs.Bitmap, pagesMs, pages, 0, load, costs.Verify, costs.Yield, costs.Commit, costs.Resume, total, devices,
            BandwidthEstimate.Of(_passes, capped: false).BytesPerSecond, predicted is null ? null : PredictedBlackout.Of(predicted)));
    }

    private long Dirty(TracedDevice device) => device.HasPreCopy ? (long)device.Changed.Distinct(_from, _now) : 0;
}
