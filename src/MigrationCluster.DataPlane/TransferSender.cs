using System.Net;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.DataPlane.Sending;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane;

/// <summary>
/// The source's side of one link of a transfer session: passes over guest RAM and device streams, side by side, until a manifest
/// is agreed upon. When it fails and <see cref="TransferFailedException.MayResume"/>, another link carries on.
/// </summary>
/// <remarks>
/// One pass at a time, and one caller for each device; passes and devices run side by side. The first failure ends the
/// link, and every call then throws <see cref="TransferFailedException"/> with that first reason. Cancelling a call that
/// is in the middle of a frame ends the link too.
/// </remarks>
public sealed class TransferSender : IAckTarget, IAsyncDisposable
{
    private readonly MappedGuestRam _ram;
    private readonly BreakFunnel _funnel = new();
    private readonly TransferMeter _meter;
    private readonly bool[] _ended;
    private readonly TaskCompletionSource<string> _verdict = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SendChannel[] _channels;
    private readonly DeviceWriter _devices;
    private PagePass? _pass;
    private Task _passSenders = Task.CompletedTask;
    private int _passes;
    private bool _disposed;

    private TransferSender(MappedGuestRam ram, SessionShape shape, Connection[] connections, LinkStanding standing, BandwidthShare? bandwidth)
    {
        _ram = ram;
        _meter = new TransferMeter(ram.Ledger);
        Incarnation = standing.Incarnation;
        _ended = new bool[shape.DeviceCount];
        _channels =
        [
            .. connections.Select((connection, number) => new SendChannel(number, connection, shape, bandwidth, _funnel, _meter, this)),
        ];
        _devices = new DeviceWriter(standing.Devices, _channels[0], _funnel, _meter);
        foreach (var channel in _channels) channel.Start();
        _devices.Start();
    }

    /// <summary>Of the destination's guest process. Where the ledger counts for another one, it must be begun before anything is sent.</summary>
    public ulong Incarnation { get; }

    public TransferCounters Counters => _meter.Read();

    /// <summary>Why the session ended; null while it lives.</summary>
    public TransferFailedException? Failure => _funnel.Failure;

    /// <summary>Opens all connections of a link.</summary>
    /// <param name="destination">the data port.</param>
    /// <param name="mode">as the destination opened the session.</param>
    /// <param name="deviceCount">device streams, the machine's included; at most 64.</param>
    /// <exception cref="ArgumentException">an argument is out of range.</exception>
    /// <exception cref="TransferFailedException">not reachable, refused, or no answer in time.</exception>
    public static async Task<TransferSender> ConnectAsync(
        IPEndPoint destination, SessionToken token, TransferMode mode, MappedGuestRam ram, int deviceCount, TransferOptions options,
        CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(deviceCount, DataPlaneWire.MaxDevices);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Channels, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Channels, DataPlaneWire.MaxChannels);
        var shape = new SessionShape((ulong)ram.Layout.PageCount, (uint)deviceCount);
        var (connections, standing) = await ChannelOpening.OpenAllAsync(destination, token, mode, shape, options, cancellationToken);
        ram.Ledger.NoteLost();
        return new TransferSender(ram, shape, connections, standing, options.Bandwidth);
    }

    /// <summary>
    /// Sends pages; ends when the destination has acknowledged all of them. A page that is acknowledged goes out of
    /// <paramref name="pages"/> and is no longer owed at once, so after a failure both hold exactly the pages that must be sent again.
    /// </summary>
    /// <param name="pages">the pass; belongs to this call until it ends.</param>
    /// <param name="findHoles">ask the file for holes first, as in the first pass, when most of RAM may never have been written.</param>
    /// <exception cref="TransferFailedException">the session ended.</exception>
    /// <exception cref="OperationCanceledException">cancelled.</exception>
    public async Task SendPagesAsync(PageBitmap pages, bool findHoles, CancellationToken cancellationToken)
    {
        if (pages.PageCount != _ram.Layout.PageCount)
            throw new ArgumentException($"a pass of {pages.PageCount} pages, and guest RAM has {_ram.Layout.PageCount}");
        _funnel.ThrowIfBroken();
        var pass = new PagePass(Interlocked.Increment(ref _passes), pages, findHoles, _ram);
        if (Interlocked.CompareExchange(ref _pass, pass, null) is not null)
            throw new InvalidOperationException("a pass is under way");
        try
        {
            var channels = _channels.AsMemory(1).ToArray();
            // A pass that was cancelled may have zeros under way that cover pages of every channel.
            if (!Array.TrueForAll(channels, channel => channel.Window.IsEmpty))
                await RunSendersAsync(channels, pass, static (sender, cancel) => sender.Drain(cancel), cancellationToken);
            if (!cancellationToken.IsCancellationRequested)
                await RunSendersAsync(channels, pass, static (sender, cancel) => sender.Run(cancel), cancellationToken);
        }
        finally
        {
            pass.End();
            Volatile.Write(ref _pass, null);
        }
        if (_funnel.Failure is not { Reason: not TransferFailureReason.Cancelled })
            cancellationToken.ThrowIfCancellationRequested();
        _funnel.ThrowIfBroken();
    }

    /// <summary>Sends the next bytes of a device's stream; ends when they have left, and waits while 4 MiB of this device
    /// are not acknowledged.</summary>
    /// <param name="offset">stream offset of the first byte; chunks follow each other without gaps.</param>
    /// <param name="data">1 byte or more, sent in frames of 256 KiB between those of other devices; borrowed until the call ends. One that is cancelled
    /// may have sent a part: see <see cref="DevicePosition"/>.</param>
    /// <exception cref="TransferFailedException">the session ended.</exception>
    public ValueTask SendDeviceAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        if (data.IsEmpty) throw new ArgumentException($"device {device}: a chunk without bytes");
        return SendInLaneAsync(FrameKind.DeviceChunk, device, offset, (ulong)data.Length, data, cancellationToken);
    }

    /// <summary>Says that all of a device's initial bytes were sent, and waits until the destination's device has loaded them. Again
    /// whenever a device has initial bytes again.</summary>
    /// <exception cref="TransferFailedException">the session ended.</exception>
    public async Task EndInitialBytesAsync(int device, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)device, (uint)_ended.Length, nameof(device));
        var loaded = _devices.ExpectInitialAck(device);
        try
        {
            await SendInLaneAsync(
                FrameKind.InitialBytesEnd, device, _devices.StreamOf(device).Bytes, 0, default, cancellationToken);
        }
        catch
        {
            _devices.ForgetInitialAck(device);
            throw;
        }
        await loaded.WaitAsync(cancellationToken);
    }

    /// <summary>The switchover acknowledgement of one device: the last end of its initial bytes is loaded.</summary>
    public bool AreInitialBytesLoaded(int device) => _devices.InitialLoaded(device);

    /// <summary>Where the next chunk of a device's stream begins; its caller must not be sending.</summary>
    public ulong DevicePosition(int device) => _devices.StreamOf(device).Bytes;

    /// <summary>The destination's device has accepted the stream up to this offset.</summary>
    public ulong AckedDeviceBytes(int device) => _devices.AckedBytes(device);

    /// <summary>Which device's frames leave first from now on, where several wait: each is held back by its own window, so the others get
    /// what it does not take.</summary>
    /// <param name="devices">all of them.</param>
    public void OrderDevices(IEnumerable<int> devices) => _devices.Order([.. devices]);

    /// <summary>Ends a device's stream; waits until the destination's device has accepted all of it.</summary>
    /// <param name="bytes">length of the whole stream.</param>
    /// <param name="crc32C">CRC-32C over all of it, as the device's own side counted it.</param>
    /// <exception cref="TransferFailedException">the digest is not that of what was sent, or the session ended.</exception>
    public async Task EndDeviceAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken)
    {
        var stream = new DeviceStream(device, bytes, crc32C);
        var sent = _devices.StreamOf(device);
        if (stream != sent)
            _funnel.Break(TransferFailureReason.DeviceStreamDisagrees, $"{stream} was read, and {sent} was sent");
        await SendInLaneAsync(FrameKind.DeviceEnd, device, bytes, crc32C, default, cancellationToken);
        await _devices.EndAcked(device).WaitAsync(cancellationToken);
        _ended[device] = true;
    }

    /// <summary>Compares what both sides hold, and ends the session. Every device's stream must have been ended.</summary>
    /// <param name="hashRam">compare all of RAM as it lies there too, and not only what was sent and written; both sides read all of it.</param>
    /// <returns>the manifest both agree upon.</returns>
    /// <exception cref="TransferFailedException">they differ, or the session ended before.</exception>
    public async Task<TransferManifest> FinishAsync(bool hashRam, CancellationToken cancellationToken)
    {
        if (_pass is not null || _ended.Contains(false))
            throw new InvalidOperationException("a pass is under way, or a device's stream was not ended");
        var manifest = new TransferManifest(
            _ram.DigestOfPages(), [.. _ended.Select((_, device) => _devices.StreamOf(device))], hashRam ? RamHash.Of(_ram) : default);
        byte[] bytes = manifest.ToBytes();
        await _devices.SendAsync(
            _ended.Length, new SentFrame(FrameKind.Manifest, 0, 0, (ulong)bytes.Length, 0, 0), bytes, cancellationToken);
        string theirs = await _verdict.Task.WaitAsync(cancellationToken);
        if (theirs != manifest.Digest)
        {
            _funnel.Break(TransferFailureReason.ManifestDisagrees, "the destination agreed to another manifest");
            _funnel.ThrowIfBroken();
        }
        foreach (var channel in _channels) channel.ShutDownSending();
        return manifest;
    }

    /// <summary>Closes the connections. After it nothing of this session touches guest RAM.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        _funnel.Break(TransferFailureReason.Cancelled, "the source closed the session");
        foreach (var channel in _channels) await channel.Reading;
        await _devices.Running;
        await _passSenders; // ends by itself once the funnel is broken, and must not outlive the mapping
        foreach (var channel in _channels) channel.Dispose();
        _funnel.Dispose();
        _meter.Close();
    }

    void IAckTarget.TakeAck(in SentFrame frame)
    {
        if (frame.Kind is FrameKind.Pages or FrameKind.ZeroRun) Volatile.Read(ref _pass)?.TakeAck(frame);
        else _devices.TakeAck(frame);
    }

    void IAckTarget.TakeVerdict(ReadOnlySpan<byte> digest) => _verdict.TrySetResult(Convert.ToHexStringLower(digest));

    bool IAckTarget.HasVerdict => _verdict.Task.IsCompletedSuccessfully;

    void IAckTarget.ChannelEnded()
    {
        if (_funnel.Failure is { } failure)
            _verdict.TrySetException(new TransferFailedException(failure.Reason, failure.Message, failure));
        _ = _verdict.Task.Exception;
    }

    private ValueTask SendInLaneAsync(
        FrameKind kind, int device, ulong first, ulong count, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)device, (uint)_ended.Length, nameof(device));
        return _devices.SendAsync(
            device, new SentFrame(kind, (ushort)device, first, count, data.Length, 0), data, cancellationToken);
    }

    private Task RunSendersAsync(
        SendChannel[] channels, PagePass pass, Action<PageSender, CancellationToken> work, CancellationToken cancellationToken) =>
        _passSenders = Task.WhenAll(channels.Select(channel =>
        {
            var sender = new PageSender(channel, _channels.Length, _ram, pass, _funnel, _meter);
            return Task.Factory.StartNew(
                () => SendShare(() => work(sender, cancellationToken), channel, cancellationToken),
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }));

    /// <summary>Never faults: an error of one channel's share ends the session, except a cancellation between two frames.</summary>
    private void SendShare(Action work, SendChannel channel, CancellationToken cancellationToken)
    {
        try
        {
            work();
        }
        catch (OperationCanceledException) when (_funnel.Failure is null && cancellationToken.IsCancellationRequested)
        {
            // SendPagesAsync throws it.
        }
        catch (Exception exception)
        {
            channel.Break(exception);
        }
    }
}
