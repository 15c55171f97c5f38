using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.DataPlane.Sending;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane;

/// <summary>
/// The source's side of one transfer session: passes over guest RAM and device streams, side by side, until a manifest
/// is agreed upon.
/// </summary>
/// <remarks>
/// One pass at a time, and one caller for each device; passes and devices run side by side. The first failure ends the
/// session, and every call then throws <see cref="TransferFailedException"/> with that first reason. Cancelling a call that
/// is in the middle of a frame ends the session too.
/// </remarks>
public sealed class TransferSender : IAckTarget, IAsyncDisposable
{
    private readonly MappedGuestRam _ram;
    private readonly BreakFunnel _funnel = new();
    private readonly TransferMeter _meter = new();
    private readonly FairGate _deviceGate = new();
    private readonly DeviceLane[] _lanes;
    private readonly TaskCompletionSource<string> _verdict = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SendChannel[] _channels = [];
    private PagePass? _pass;
    private Task _passSenders = Task.CompletedTask;
    private int _passes;
    private bool _disposed;

    private TransferSender(MappedGuestRam ram, int deviceCount)
    {
        _ram = ram;
        _lanes = new DeviceLane[deviceCount];
        for (int i = 0; i < deviceCount; i++) _lanes[i] = new DeviceLane();
    }

    public TransferCounters Counters => _meter.Read();

    /// <summary>Why the session ended; null while it lives.</summary>
    public TransferFailedException? Failure => _funnel.Failure;

    /// <summary>Opens all connections of a session.</summary>
    /// <param name="destination">the data port; a loopback address.</param>
    /// <param name="deviceCount">device streams, the machine's included; at most 64.</param>
    /// <exception cref="ArgumentException">the address is not a loopback address, or an argument is out of range.</exception>
    /// <exception cref="TransferFailedException">not reachable, refused, or no answer in time.</exception>
    public static async Task<TransferSender> ConnectAsync(
        IPEndPoint destination, SessionToken token, MappedGuestRam ram, int deviceCount, TransferOptions options,
        CancellationToken cancellationToken)
    {
        SocketSetup.RequireLoopback(destination);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(deviceCount, DataPlaneWire.MaxDevices);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Channels, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Channels, DataPlaneWire.MaxChannels);
        var shape = new SessionShape((ulong)ram.Layout.PageCount, (uint)deviceCount);
        var sockets = await ChannelOpening.OpenAllAsync(destination, token, shape, options, cancellationToken);
        var sender = new TransferSender(ram, deviceCount);
        sender._channels = [.. sockets.Select((socket, number) =>
            new SendChannel(number, socket, shape, sender._funnel, sender._meter, sender))];
        foreach (var channel in sender._channels) channel.Start();
        return sender;
    }

    /// <summary>
    /// Sends pages; ends when the destination has acknowledged all of them. A page that is acknowledged goes out of
    /// <paramref name="pages"/> at once, so after a failure it holds exactly the pages that must be sent again.
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
        var pass = new PagePass(Interlocked.Increment(ref _passes), pages, findHoles);
        if (Interlocked.CompareExchange(ref _pass, pass, null) is not null)
            throw new InvalidOperationException("a pass is under way");
        try
        {
            var senders = new Task[_channels.Length - 1];
            for (int i = 0; i < senders.Length; i++)
            {
                var sender = new PageSender(_channels[i + 1], _channels.Length, _ram, pass, _meter);
                senders[i] = Task.Run(() => BreakOnErrorAsync(sender.RunAsync(cancellationToken), "a pass"), CancellationToken.None);
            }
            await (_passSenders = Task.WhenAll(senders));
        }
        finally
        {
            pass.End();
            Volatile.Write(ref _pass, null);
        }
        _funnel.ThrowIfBroken();
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>Sends the next bytes of a device's stream; ends when they are on their way, and waits while the device's
    /// window of 2 MiB is full.</summary>
    /// <param name="offset">stream offset of the first byte; chunks follow each other without gaps.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendDeviceAsync(
        int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        var lane = _lanes[device];
        if (offset != lane.Sent) throw new ArgumentException($"device {device}: bytes at {offset} follow {lane.Sent}");
        while (data.Length > 0)
        {
            var chunk = data[..Math.Min(data.Length, DataPlaneWire.MaxDeviceChunkBytes)];
            await SendInLaneAsync(lane, FrameKind.DeviceChunk, device, lane.Sent, (ulong)chunk.Length, chunk, cancellationToken);
            data = data[chunk.Length..];
        }
    }

    /// <summary>Says that all of a device's initial bytes were sent; <see cref="AreInitialBytesLoaded"/> tells when the
    /// destination's device has loaded them.</summary>
    public ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken) => SendInLaneAsync(
        _lanes[device], FrameKind.InitialBytesEnd, device, _lanes[device].Sent, 0, default, cancellationToken);

    /// <summary>The switchover acknowledgement of one device.</summary>
    public bool AreInitialBytesLoaded(int device) => _lanes[device].InitialLoaded;

    /// <summary>The destination's device has accepted the stream up to this offset.</summary>
    public ulong AckedDeviceBytes(int device) => _lanes[device].Acked;

    /// <summary>Ends a device's stream; waits until the destination's device has accepted all of it.</summary>
    /// <param name="bytes">length of the whole stream.</param>
    /// <param name="crc32C">CRC-32C over all of it, as the device's own side counted it.</param>
    /// <exception cref="TransferFailedException">the digest is not that of what was sent, or the session ended.</exception>
    public async ValueTask EndDeviceAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken)
    {
        var lane = _lanes[device];
        var stream = new DeviceStream(device, bytes, crc32C);
        if (stream != new DeviceStream(device, lane.Sent, lane.Crc32C))
            _funnel.Break(
                TransferFailureReason.DeviceStreamDisagrees,
                $"{stream}, and {lane.Sent} bytes with CRC-32C {lane.Crc32C} were sent");
        await SendInLaneAsync(lane, FrameKind.DeviceEnd, device, bytes, crc32C, default, cancellationToken);
        while (!lane.IsIdle)
        {
            _funnel.ThrowIfBroken();
            await lane.Credit.WaitAsync(cancellationToken);
        }
        lane.Ended = stream;
    }

    /// <summary>Compares what both sides hold, and ends the session. Every device's stream must have been ended.</summary>
    /// <returns>the manifest both agree upon.</returns>
    /// <exception cref="TransferFailedException">they differ, or the session ended before.</exception>
    public async Task<TransferManifest> FinishAsync(CancellationToken cancellationToken)
    {
        if (_pass is not null || _lanes.Any(lane => lane.Ended is null))
            throw new InvalidOperationException("a pass is under way, or a device's stream was not ended");
        var manifest = new TransferManifest(_ram.DigestOfPages(), [.. _lanes.Select(lane => lane.Ended!.Value)]);
        byte[] bytes = manifest.ToBytes();
        await SendFrameAsync(new AsyncSignal(), new SentFrame(FrameKind.Manifest, 0, 0, (ulong)bytes.Length, 0, 0), bytes, cancellationToken);
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
        await _passSenders; // ends by itself once the funnel is broken, and must not outlive the mapping
        foreach (var channel in _channels) channel.Dispose();
        _funnel.Dispose();
    }

    void IAckTarget.TakeAck(in SentFrame frame)
    {
        if (frame.Kind is FrameKind.Pages or FrameKind.ZeroRun) Volatile.Read(ref _pass)?.TakeAck(frame);
        else if (frame.Kind != FrameKind.Manifest) _lanes[frame.Device].TakeAck(frame);
    }

    void IAckTarget.TakeVerdict(ReadOnlySpan<byte> digest) => _verdict.TrySetResult(Convert.ToHexStringLower(digest));

    bool IAckTarget.HasVerdict => _verdict.Task.IsCompletedSuccessfully;

    void IAckTarget.ChannelEnded()
    {
        foreach (var lane in _lanes) lane.Credit.Set();
        if (_funnel.Failure is { } failure)
            _verdict.TrySetException(new TransferFailedException(failure.Reason, failure.Message, failure));
        _ = _verdict.Task.Exception;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendInLaneAsync(
        DeviceLane lane, FrameKind kind, int device, ulong first, ulong count, ReadOnlyMemory<byte> data,
        CancellationToken cancellationToken)
    {
        _funnel.ThrowIfBroken();
        while (!lane.TryReserve())
        {
            await lane.Credit.WaitAsync(cancellationToken);
            _funnel.ThrowIfBroken();
        }
        lane.Sent += (ulong)data.Length;
        await SendFrameAsync(
            lane.Turn, new SentFrame(kind, (ushort)device, first, count, data.Length, 0), data, cancellationToken, lane);
    }

    /// <summary>Sends one frame on the device channel, in turn.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendFrameAsync(
        AsyncSignal turn, SentFrame frame, ReadOnlyMemory<byte> data, CancellationToken cancellationToken, DeviceLane? lane = null)
    {
        var channel = _channels[0];
        // From here on giving up would leave a gap, so a cancellation ends the session, which opens the gate as well.
        var registration = cancellationToken.UnsafeRegister(static funnel => ((BreakFunnel)funnel!).Break(
            TransferFailureReason.Cancelled, "a device's stream was cancelled"), _funnel);
        await _deviceGate.EnterAsync(turn);
        try
        {
            _funnel.ThrowIfBroken();
            await channel.MakeRoomAsync(FrameHeader.SizeBytes + sizeof(uint) + data.Length, data.Length, _funnel.Stopping);
            AppendChecked(channel, frame, data.Span, lane);
            await channel.FlushAsync(_funnel.Stopping);
        }
        catch (OperationCanceledException)
        {
            _funnel.ThrowIfBroken();
            throw;
        }
        finally
        {
            _deviceGate.Leave();
            registration.Dispose();
        }
    }

    private void AppendChecked(SendChannel channel, in SentFrame frame, ReadOnlySpan<byte> data, DeviceLane? lane)
    {
        var payload = channel.Append(frame);
        if (payload.Length == 0) return;
        Checks.Write(payload, data);
        if (lane is null) return;
        uint check = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(payload);
        lane.Crc32C = Crc32C.Combine(lane.Crc32C, check, (ulong)data.Length);
        _meter.AddDevice(data.Length);
    }

    /// <summary>An error of one channel's share ends the session, except a cancellation between two frames.</summary>
    private async Task BreakOnErrorAsync(Task share, string what)
    {
        try
        {
            await share;
        }
        catch (OperationCanceledException) when (_funnel.Failure is null)
        {
            // The caller's own cancellation; SendPagesAsync throws it.
        }
        catch (Exception exception)
        {
            _funnel.Break(exception, what);
        }
    }
}
