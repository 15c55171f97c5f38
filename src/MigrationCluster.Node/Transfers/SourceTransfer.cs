using System.Diagnostics;
using System.Net;
using MigrationCluster.DataPlane;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Transfers;

/// <summary>
/// The source's passes over guest RAM and device streams, over one link of a data-plane session after the other.
///
/// What the destination lacks is always known to the guest process, which outlives this one: a page is in a device's log, in a report that
/// was not acknowledged, or owed (<see cref="TransferLedger"/>). A pass moves every report into what is owed, and only then acknowledges it;
/// it sends what is owed beside every device's stream, and a page goes from there when the destination has acknowledged it. So a
/// pass that broke, or a daemon that died, is followed by one that begins where it ended. Of another incarnation of the destination
/// nothing was acknowledged: all of RAM is owed to it.
/// A pass is ready for the switchover only if no device has initial bytes left and the destination has loaded all that were sent; a
/// device may have some again in any later pass.
/// </summary>
public sealed class SourceTransfer : IAsyncDisposable
{
    private readonly MappedGuest _guest;
    private readonly IReadOnlyList<DeviceActor> _devices;
    private readonly IReadOnlyDictionary<string, MigrationCapabilities> _capabilities;
    private readonly TransferOptions _options;
    private readonly IReadOnlyDictionary<string, string> _models;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private TransferSender? _sender;

    private SourceTransfer(
        MappedGuest guest, IReadOnlyList<DeviceActor> devices, IReadOnlyDictionary<string, MigrationCapabilities> capabilities,
        IReadOnlyDictionary<string, string> models, TransferOptions options, TimeProvider time) =>
        (_guest, _devices, _capabilities, _models, _options, _time) = (guest, devices, capabilities, models, options, time);

    public TransferCounters Counters => _sender?.Counters ?? default;

    /// <summary>Bytes still to send in the pass under way, or found dirty after the last one.</summary>
    public long RemainingBytes { get; private set; }

    public double DirtyBytesPerSecond { get; private set; }

    /// <param name="devices">in the session's order of device indices, the machine included.</param>
    /// <param name="models">by device; one that has none is told of under its name.</param>
    public static async Task<SourceTransfer> OpenAsync(
        GuestAddress address, IReadOnlyList<DeviceActor> devices, IReadOnlyDictionary<string, MigrationCapabilities> capabilities,
        IReadOnlyDictionary<string, string> models, TransferOptions options, TimeProvider time, CancellationToken cancellationToken) =>
        new(await MappedGuest.OpenAsync(address, cancellationToken), devices, capabilities, models, options, time);

    /// <summary>Opens a link, and closes the one before. For a destination that is new here dirty logs are started, and all is owed.</summary>
    /// <exception cref="TransferFailedException">the destination's data plane is not reachable or refuses.</exception>
    public async Task ConnectAsync(
        string dataEndpoint, string token, string? plainAcceptedBy, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken); // for what was cancelled and has not landed
        try
        {
            if (_sender is { } old) await old.DisposeAsync();
            var destination = IPEndPoint.Parse(dataEndpoint);
            _sender = await TransferSender.ConnectAsync(
                destination, SessionToken.Parse(token), TransferModes.Of(destination, plainAcceptedBy), _guest.Ram, _devices.Count, _options,
                cancellationToken);
            if (_guest.Ram.Ledger.Counted == _sender.Incarnation) return;
            await Task.WhenAll(_devices.Select(device => device.AskAsync<bool>(
                (reply, cancel) => new DeviceMessage.StartDirtyLog(reply, cancel), cancellationToken)));
            _guest.Ram.Ledger.Begin(_sender.Incarnation);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <param name="throttlePercent">by how much the vCPUs are slowed while it runs.</param>
    public async Task<SourceCommand> RunIterationAsync(int iteration, int throttlePercent, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            return await IterateAsync(Connected(), iteration, throttlePercent, cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<SourceCommand> IterateAsync(
        TransferSender sender, int iteration, int throttlePercent, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        bool capped = _options.Bandwidth is { Limit: not null };
        var (pages, _) = await CollectOwedAsync(cancellationToken);
        long pageCount = pages.Count();
        var before = sender.Counters;
        RemainingBytes = pageCount * GuestMemoryLayout.PageSizeBytes;

        var preCopy = Enumerable.Range(0, _devices.Count).Where(HasPreCopy).ToList();
        var streams = preCopy.Select(index => SendStreamAsync(sender, index, final: false, cancellationToken)).ToList();
        await Task.WhenAll([sender.SendPagesAsync(pages, findHoles: iteration == 1, cancellationToken), .. streams]);
        var sent = await Task.WhenAll(streams);

        long bytes = SentSince(sender, before);
        var (dirty, dma) = await CollectOwedAsync(cancellationToken);
        var duration = Stopwatch.GetElapsedTime(started);
        var left = await ReadDeviceBytesAsync(preCopy, cancellationToken);
        var pass = new PassObservation(
            iteration, duration, bytes, dirty.Count() * GuestMemoryLayout.PageSizeBytes,
            left.All(bytes => bytes.InitialBytes == 0) && preCopy.All(sender.AreInitialBytesLoaded),
            dma * GuestMemoryLayout.PageSizeBytes, _guest.Ram.CountCold(dirty) * GuestMemoryLayout.PageSizeBytes, throttlePercent,
            [.. Enumerable.Range(0, _devices.Count).Select(index => PassOf(index, preCopy.IndexOf(index)))], capped);
        RemainingBytes = pass.RemainingBytes;
        DirtyBytesPerSecond = RemainingBytes / duration.TotalSeconds;
        return new SourceCommand.IterationEnded(pass, pageCount, _time.GetUtcNow());

        DevicePass PassOf(int index, int ofPreCopy)
        {
            string name = _devices[index].Device.Value;
            return ofPreCopy < 0
                ? new DevicePass(name, ModelOf(name), HasPreCopy: false)
                : new DevicePass(
                    name, ModelOf(name), HasPreCopy: true, (long)left[ofPreCopy].InitialBytes, (long)left[ofPreCopy].DirtyBytes,
                    sent[ofPreCopy].Bytes, sent[ofPreCopy].Sending + sent[ofPreCopy].Loading);
        }
    }

    /// <summary>Devices that have initial bytes again since the last pass: they take their readiness back.</summary>
    public async Task<IReadOnlyList<DeviceName>> FindUnreadyAsync(CancellationToken cancellationToken)
    {
        var preCopy = Enumerable.Range(0, _devices.Count).Where(HasPreCopy).ToList();
        var left = await ReadDeviceBytesAsync(preCopy, cancellationToken);
        return [.. preCopy.Zip(left).Where(device => device.Second.InitialBytes > 0).Select(device => _devices[device.First].Device)];
    }

    /// <summary>All devices are stopped: the last dirty reports, the final pages beside every device's final state, the manifest.</summary>
    /// <param name="verifyFull">the manifest holds a hash of all of RAM too.</param>
    /// <param name="expected">how long a device's final state takes by itself: where the link is what they wait for, the slowest goes first.</param>
    public async Task<SourceCommand> SendFinalAsync(bool verifyFull, Func<DeviceName, double> expected, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            return await FinishAsync(Connected(), verifyFull, expected, cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<SourceCommand> FinishAsync(
        TransferSender sender, bool verifyFull, Func<DeviceName, double> expected, CancellationToken cancellationToken)
    {
        // The guest stands still, until this is agreed upon or the attempt is over: there is no way back to pre-copy.
        if (_options.Bandwidth is { } share) share.Urgent = true;
        long started = Stopwatch.GetTimestamp();
        var (pages, _) = await CollectOwedAsync(cancellationToken);
        var bitmap = Stopwatch.GetElapsedTime(started);
        sender.OrderDevices(Enumerable.Range(0, _devices.Count).OrderByDescending(index => expected(_devices[index].Device)));
        var streamsAt = _time.GetUtcNow();
        var streams = Enumerable.Range(0, _devices.Count)
            .Select(index => SendStreamAsync(sender, index, final: true, cancellationToken)).ToList();
        long pageBytes = pages.Count() * GuestMemoryLayout.PageSizeBytes, cold = _guest.Ram.CountCold(pages) * GuestMemoryLayout.PageSizeBytes;
        await sender.SendPagesAsync(pages, findHoles: false, cancellationToken);
        var pagesSentAt = _time.GetUtcNow();
        var sent = await Task.WhenAll(streams);
        var manifest = await sender.FinishAsync(verifyFull, cancellationToken);

        var counters = sender.Counters;
        var totals = new TransferTotals(counters.PageBytes, counters.ZeroBytes, counters.ProtocolBytes,
            _devices.ToDictionary(device => device.Device.Value, device => device.SentBytes), counters.ResentBytes);
        var timings = new BlackoutTimings(
            bitmap.TotalMilliseconds, pageBytes, cold, streamsAt + sent.Max(device => device.Sending),
            [.. _devices.Zip(sent, (device, stream) => new DeviceTimings(
                device.Device.Value, null, null, stream.Bytes, stream.Sending.TotalMilliseconds, stream.Loading.TotalMilliseconds))]);
        RemainingBytes = 0;
        return new SourceCommand.FinalSent(
            manifest.Digest, pagesSentAt, totals, _time.GetUtcNow(), verifyFull ? Convert.ToHexStringLower(manifest.RamHash.Span) : null,
            timings);
    }

    /// <summary>Closes the connections: from here on nothing is sent. Guest RAM stays mapped, because unmapping it takes as
    /// long as it is large, and the guest may be waiting.</summary>
    public ValueTask StopSendingAsync() => _sender?.DisposeAsync() ?? default;

    public async ValueTask DisposeAsync()
    {
        await StopSendingAsync();
        await _guest.DisposeAsync();
        _turn.Dispose();
    }

    private TransferSender Connected() => _sender
        ?? throw new TransferFailedException(TransferFailureReason.ConnectionLost, "there is no connection to the destination");

    private bool HasPreCopy(int index) =>
        _capabilities[_devices[index].Device.Value].HasFlag(MigrationCapabilities.PreCopy);

    private static long SentSince(TransferSender sender, TransferCounters before)
    {
        var now = sender.Counters;
        return now.PageBytes - before.PageBytes + now.DeviceBytes - before.DeviceBytes;
    }

    private string ModelOf(string device) => _models.GetValueOrDefault(device, device);

    private Task<StreamSent> SendStreamAsync(TransferSender sender, int index, bool final, CancellationToken cancellationToken) =>
        _devices[index].AskAsync<StreamSent>(
            (reply, cancel) => new DeviceMessage.SendStream(sender, index, final, reply, cancel), cancellationToken);

    /// <summary>Every device's log becomes debt, and is acknowledged once it is; the result is all that is owed.</summary>
    /// <returns>and how many pages devices have reported, of which the machine is none.</returns>
    private async Task<(PageBitmap Owed, long ByDevices)> CollectOwedAsync(CancellationToken cancellationToken)
    {
        var ledger = _guest.Ram.Ledger;
        var pages = new PageBitmap(_guest.Ram.Layout.PageCount);
        var bitmaps = _devices.Select(_ => new PageBitmap(pages.PageCount)).ToArray();
        ulong[] reports = await Task.WhenAll(_devices.Select((device, index) => device.AskAsync<ulong>(
            (reply, cancel) => new DeviceMessage.ReadDirty(bitmaps[index], reply, cancel), cancellationToken)));
        foreach (var bitmap in bitmaps) ledger.Owe(bitmap);
        await Task.WhenAll(_devices.Select((device, index) => device.AskAsync<bool>(
            (reply, cancel) => new DeviceMessage.AckDirty(reports[index], reply, cancel), cancellationToken)));
        ledger.AddTo(pages);
        var byDevices = new PageBitmap(pages.PageCount);
        for (int i = 0; i < bitmaps.Length; i++)
            if (_devices[i].Device != DeviceName.Machine)
                byDevices.Or(bitmaps[i]);
        return (pages, byDevices.Count());
    }

    /// <summary>Nothing of a device that cannot tell: what it had was read until it was drained.</summary>
    private async Task<IReadOnlyList<Devices.PreCopyBytes>> ReadDeviceBytesAsync(
        IReadOnlyList<int> indices, CancellationToken cancellationToken)
    {
        var remaining = await Task.WhenAll(indices.Select(index => _devices[index].AskAsync<Devices.PreCopyBytes?>(
            (reply, cancel) => new DeviceMessage.ReadRemaining(reply, cancel), cancellationToken)));
        return [.. remaining.Select(bytes => bytes ?? default)];
    }
}
