using System.Diagnostics;
using System.Net;
using MigrationCluster.DataPlane;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Transfers;

/// <summary>
/// The source's passes over guest RAM and device streams, on one data-plane session.
///
/// A pass reads every endpoint's dirty report (what was reported before and not acknowledged comes again), sends those pages
/// beside every device's stream, waits until the destination has acknowledged all of it, and only then
/// acknowledges the reports: no dirty page is ever neither logged, reported nor loaded. The first pass is all debt.
/// A pass is ready for the switchover only if no device has initial bytes left and the destination has loaded all that were sent; a
/// device may have some again in any later pass.
/// </summary>
public sealed class SourceTransfer : IAsyncDisposable
{
    private readonly MappedGuest _guest;
    private readonly TransferSender _sender;
    private readonly IReadOnlyList<DeviceActor> _devices;
    private readonly IReadOnlyDictionary<string, MigrationCapabilities> _capabilities;
    private readonly TimeProvider _time;
    private double _bandwidth;

    private SourceTransfer(
        MappedGuest guest, TransferSender sender, IReadOnlyList<DeviceActor> devices,
        IReadOnlyDictionary<string, MigrationCapabilities> capabilities, TimeProvider time) =>
        (_guest, _sender, _devices, _capabilities, _time) = (guest, sender, devices, capabilities, time);

    public TransferCounters Counters => _sender.Counters;

    /// <summary>Bytes still to send in the pass under way, or found dirty after the last one.</summary>
    public long RemainingBytes { get; private set; }

    public double DirtyBytesPerSecond { get; private set; }

    /// <param name="devices">in the session's order of device indices, the machine included.</param>
    /// <exception cref="TransferFailedException">the destination's data plane is not reachable or refuses.</exception>
    public static async Task<SourceTransfer> ConnectAsync(
        GuestAddress address, string dataEndpoint, string token, IReadOnlyList<DeviceActor> devices,
        IReadOnlyDictionary<string, MigrationCapabilities> capabilities, TimeProvider time, CancellationToken cancellationToken)
    {
        var guest = await MappedGuest.OpenAsync(address, cancellationToken);
        TransferSender? sender = null;
        try
        {
            sender = await TransferSender.ConnectAsync(
                IPEndPoint.Parse(dataEndpoint), SessionToken.Parse(token), guest.Ram, devices.Count,
                TransferOptions.Default, cancellationToken);
            var transfer = new SourceTransfer(guest, sender, devices, capabilities, time);
            await Task.WhenAll(devices.Select(device => device.AskAsync<bool>(
                (reply, cancel) => new DeviceMessage.StartDirtyLog(reply, cancel), cancellationToken)));
            return transfer;
        }
        catch
        {
            if (sender is not null) await sender.DisposeAsync();
            await guest.DisposeAsync();
            throw;
        }
    }

    public async Task<SourceCommand> RunIterationAsync(int iteration, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        var pages = new PageBitmap(_guest.Ram.Layout.PageCount);
        var reports = iteration == 1 ? null : await ReadDirtyAsync(pages, cancellationToken);
        if (iteration == 1) pages.SetAll();
        long pageCount = pages.Count();
        var before = _sender.Counters;
        RemainingBytes = pageCount * GuestMemoryLayout.PageSizeBytes;

        var preCopy = Enumerable.Range(0, _devices.Count).Where(HasPreCopy).ToList();
        var streams = preCopy.Select(index => SendStreamAsync(index, final: false, cancellationToken)).ToList();
        await Task.WhenAll([_sender.SendPagesAsync(pages, findHoles: iteration == 1, cancellationToken), .. streams]);
        if (reports is not null) await AckDirtyAsync(reports, cancellationToken);

        var duration = Stopwatch.GetElapsedTime(started);
        long bytes = SentSince(before);
        // A tiny pass says more about latency than about bandwidth.
        if (bytes > 8 << 20 || _bandwidth == 0) _bandwidth = bytes / duration.TotalSeconds;

        var dirty = new PageBitmap(pages.PageCount);
        await ReadDirtyAsync(dirty, cancellationToken);
        long dirtyPageBytes = dirty.Count() * GuestMemoryLayout.PageSizeBytes;
        var left = await ReadDeviceBytesAsync(preCopy, cancellationToken);
        RemainingBytes = dirtyPageBytes + left.Sum(bytes => (long)(bytes.InitialBytes + bytes.DirtyBytes));
        DirtyBytesPerSecond = RemainingBytes / duration.TotalSeconds;
        return new SourceCommand.IterationEnded(
            iteration, pageCount, bytes, duration, RemainingBytes, _bandwidth, DirtyBytesPerSecond,
            left.All(bytes => bytes.InitialBytes == 0) && preCopy.All(_sender.AreInitialBytesLoaded), _time.GetUtcNow());
    }

    /// <summary>Devices that have initial bytes again since the last pass: they take their readiness back.</summary>
    public async Task<IReadOnlyList<DeviceName>> FindUnreadyAsync(CancellationToken cancellationToken)
    {
        var preCopy = Enumerable.Range(0, _devices.Count).Where(HasPreCopy).ToList();
        var left = await ReadDeviceBytesAsync(preCopy, cancellationToken);
        return [.. preCopy.Zip(left).Where(device => device.Second.InitialBytes > 0).Select(device => _devices[device.First].Device)];
    }

    /// <summary>All devices are stopped: the last dirty reports, the final pages beside every device's final state, the
    /// manifest. The reports stay unacknowledged: if this attempt is rolled back they come again.</summary>
    public async Task<SourceCommand> SendFinalAsync(CancellationToken cancellationToken)
    {
        var pages = new PageBitmap(_guest.Ram.Layout.PageCount);
        await ReadDirtyAsync(pages, cancellationToken);
        var streams = Enumerable.Range(0, _devices.Count)
            .Select(index => SendStreamAsync(index, final: true, cancellationToken)).ToList();
        await _sender.SendPagesAsync(pages, findHoles: false, cancellationToken);
        var pagesSentAt = _time.GetUtcNow();
        await Task.WhenAll(streams);
        var manifest = await _sender.FinishAsync(cancellationToken);

        var counters = _sender.Counters;
        var totals = new TransferTotals(counters.PageBytes, counters.ZeroBytes, counters.ProtocolBytes,
            _devices.ToDictionary(device => device.Device.Value, device => device.SentBytes));
        RemainingBytes = 0;
        return new SourceCommand.FinalSent(manifest.Digest, pagesSentAt, totals, _time.GetUtcNow());
    }

    /// <summary>Closes the connections: from here on nothing is sent. Guest RAM stays mapped, because unmapping it takes as
    /// long as it is large, and the guest may be waiting.</summary>
    public ValueTask StopSendingAsync() => _sender.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        await _sender.DisposeAsync();
        await _guest.DisposeAsync();
    }

    private bool HasPreCopy(int index) =>
        _capabilities[_devices[index].Device.Value].HasFlag(MigrationCapabilities.PreCopy);

    private long SentSince(TransferCounters before)
    {
        var now = _sender.Counters;
        return now.PageBytes - before.PageBytes + now.DeviceBytes - before.DeviceBytes;
    }

    private Task<long> SendStreamAsync(int index, bool final, CancellationToken cancellationToken) =>
        _devices[index].AskAsync<long>(
            (reply, cancel) => new DeviceMessage.SendStream(_sender, index, final, reply, cancel), cancellationToken);

    private async Task<ulong[]> ReadDirtyAsync(PageBitmap pages, CancellationToken cancellationToken)
    {
        var bitmaps = _devices.Select(_ => new PageBitmap(pages.PageCount)).ToArray();
        ulong[] sequences = await Task.WhenAll(_devices.Select((device, index) => device.AskAsync<ulong>(
            (reply, cancel) => new DeviceMessage.ReadDirty(bitmaps[index], reply, cancel), cancellationToken)));
        foreach (var bitmap in bitmaps) pages.Or(bitmap);
        return sequences;
    }

    private Task<bool[]> AckDirtyAsync(ulong[] sequences, CancellationToken cancellationToken) =>
        Task.WhenAll(_devices.Select((device, index) => device.AskAsync<bool>(
            (reply, cancel) => new DeviceMessage.AckDirty(sequences[index], reply, cancel), cancellationToken)));

    /// <summary>Nothing of a device that cannot tell: what it had was read until it was drained.</summary>
    private async Task<IReadOnlyList<Devices.PreCopyBytes>> ReadDeviceBytesAsync(
        IReadOnlyList<int> indices, CancellationToken cancellationToken)
    {
        var remaining = await Task.WhenAll(indices.Select(index => _devices[index].AskAsync<Devices.PreCopyBytes?>(
            (reply, cancel) => new DeviceMessage.ReadRemaining(reply, cancel), cancellationToken)));
        return [.. remaining.Select(bytes => bytes ?? default)];
    }
}
