using System.Buffers.Binary;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>
/// The only writer of the device channel: takes one frame of each device in turn, so that a busy device starves no other, until it is told
/// which come first.
/// </summary>
internal sealed class DeviceWriter
{
    private readonly Lock _lock = new();
    private readonly List<DeviceLane> _ready; // in the order they asked
    private readonly Signal _wake = new();
    private readonly DeviceLane[] _lanes;
    private readonly SendChannel _channel;
    private readonly BreakFunnel _funnel;
    private readonly TransferMeter _meter;

    /// <param name="devices">where each device's stream goes on; one more lane, the last, is the session's own.</param>
    internal DeviceWriter(IReadOnlyList<DeviceStream> devices, SendChannel channel, BreakFunnel funnel, TransferMeter meter)
    {
        (_channel, _funnel, _meter) = (channel, funnel, meter);
        _lanes =
        [
            .. devices.Select(stream => new DeviceLane(this, stream.Device)
            {
                Position = stream.Bytes,
                Acked = stream.Bytes,
                Crc32C = stream.Crc32C,
            }),
            new DeviceLane(this, devices.Count),
        ];
        _ready = new List<DeviceLane>(_lanes.Length);
    }

    /// <summary>Ends with the session; never faults.</summary>
    internal Task Running { get; private set; } = Task.CompletedTask;

    internal void Start() => Running = Task.Factory.StartNew(
        Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    internal ulong AckedBytes(int device)
    {
        lock (_lock) return _lanes[device].Acked;
    }

    internal bool InitialLoaded(int device)
    {
        lock (_lock) return _lanes[device] is { InitialEndsSent: > 0 } lane && lane.InitialEndsLoaded == lane.InitialEndsSent;
    }

    /// <summary>Of all devices, the first to go first.</summary>
    internal void Order(IReadOnlyList<int> devices)
    {
        lock (_lock)
            for (int rank = 0; rank < devices.Count; rank++)
                _lanes[devices[rank]].Rank = rank - devices.Count;
    }

    /// <summary>What was sent of a device's stream; its caller must not be sending.</summary>
    internal DeviceStream StreamOf(int device)
    {
        lock (_lock) return _lanes[device].Stream;
    }

    /// <summary>An end of initial bytes is about to be sent; see <see cref="DeviceLane.InitialAcked"/> for the result.</summary>
    internal Task ExpectInitialAck(int device)
    {
        lock (_lock)
        {
            var lane = _lanes[device];
            _funnel.ThrowIfBroken();
            if (lane.InitialAcked.Task.IsCompleted) lane.InitialAcked = new(TaskCreationOptions.RunContinuationsAsynchronously);
            lane.InitialEndsSent++;
            return lane.InitialAcked.Task;
        }
    }

    /// <summary>It was not sent after all.</summary>
    internal void ForgetInitialAck(int device)
    {
        lock (_lock) _lanes[device].InitialEndsSent--;
    }

    /// <summary>See <see cref="DeviceLane.EndAcked"/>.</summary>
    internal Task EndAcked(int device) => _lanes[device].EndAcked.Task;

    /// <summary>Sends a frame in turn, or a chunk in as many as it needs; ends when all of it has left. Cancelled, a part may have.</summary>
    /// <param name="number">the device, or their number for the session's own lane.</param>
    /// <param name="data">borrowed until then.</param>
    /// <exception cref="InvalidOperationException">the device's caller has a frame waiting already.</exception>
    internal ValueTask SendAsync(int number, in SentFrame frame, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var lane = _lanes[number];
        ValueTask sent;
        lock (_lock)
        {
            if (lane.Request != LaneRequest.None)
                throw new InvalidOperationException($"device {number} has one caller at a time");
            if (frame.Kind != FrameKind.Manifest && frame.First != lane.Position)
                throw new ArgumentException($"device {number}: a frame at offset {frame.First} follows {lane.Position}");
            _funnel.ThrowIfBroken();
            sent = lane.Ask(frame, data);
            Queue(lane);
        }
        _wake.Set();
        lane.CancelWith(cancellationToken);
        return sent;
    }

    internal void TakeAck(in SentFrame frame)
    {
        lock (_lock)
        {
            var lane = _lanes[frame.Kind == FrameKind.Manifest ? _lanes.Length - 1 : frame.Device];
            lane.InFlight--;
            if (frame.Kind == FrameKind.DeviceChunk) lane.Acked = frame.First + frame.Count;
            else if (frame.Kind == FrameKind.InitialBytesEnd)
            {
                if (++lane.InitialEndsLoaded == lane.InitialEndsSent) lane.InitialAcked.TrySetResult();
            }
            else if (frame.Kind == FrameKind.DeviceEnd) lane.EndAcked.TrySetResult();
            if (lane.Request != LaneRequest.WaitsForCredit) return;
            lane.Request = LaneRequest.Ready;
            _ready.Add(lane);
        }
        _wake.Set();
    }

    /// <summary>A frame that still waits for credit is taken back; one further on can only be given up with the session.</summary>
    internal void Cancel(DeviceLane lane, CancellationToken token)
    {
        lock (_lock)
        {
            if (lane.Request == LaneRequest.None) return;
            if (lane.Request == LaneRequest.WaitsForCredit)
            {
                lane.Finish(new OperationCanceledException(token));
                return;
            }
        }
        _funnel.Break(TransferFailureReason.Cancelled, "a device's stream was cancelled");
    }

    private void Run()
    {
        using var stopping = _funnel.Stopping.UnsafeRegister(static wake => ((Signal)wake!).Set(), _wake);
        try
        {
            while (true)
            {
                while (TryTake() is { } lane)
                {
                    while (!_channel.HasRoom(FrameHeader.SizeBytes + sizeof(uint) + lane.Data.Length, lane.Data.Length))
                    {
                        _funnel.ThrowIfBroken();
                        _channel.WaitForCredit(_funnel.Stopping);
                    }
                    int bytes = Append(lane);
                    while (_channel.MustSend)
                    {
                        if (_channel.MaySend()) _channel.Send(_funnel.Stopping);
                        else _channel.WaitForCredit(_funnel.Stopping);
                    }
                    lock (_lock)
                    {
                        if (lane.Left(bytes)) lane.Finish(null);
                        else Queue(lane);
                    }
                }
                _wake.Wait();
                _funnel.Stopping.ThrowIfCancellationRequested();
            }
        }
        catch (Exception exception)
        {
            _channel.Break(exception);
        }
        FailAll();
    }

    private DeviceLane? TryTake()
    {
        lock (_lock)
        {
            if (_ready.Count == 0) return null;
            int first = 0;
            for (int i = 1; i < _ready.Count; i++)
                if (_ready[i].Rank < _ready[first].Rank)
                    first = i;
            var lane = _ready[first];
            _ready.RemoveAt(first);
            lane.Request = LaneRequest.BeingSent;
            lane.InFlight++;
            return lane;
        }
    }

    /// <summary>What it wants sent goes behind that of the others, once its window has room.</summary>
    private void Queue(DeviceLane lane)
    {
        lane.Request = lane.InFlight < DeviceLane.MaxFrames ? LaneRequest.Ready : LaneRequest.WaitsForCredit;
        if (lane.Request == LaneRequest.Ready) _ready.Add(lane);
    }

    /// <returns>how many of the lane's bytes are in the frame.</returns>
    private int Append(DeviceLane lane)
    {
        int bytes = lane.Data.Length;
        var frame = lane.Frame;
        var payload = _channel.Append(frame);
        if (payload.Length == 0) return bytes;
        Checks.Write(payload, lane.Data.Span);
        if (frame.Kind != FrameKind.DeviceChunk) return bytes;
        uint check = BinaryPrimitives.ReadUInt32LittleEndian(payload);
        lock (_lock)
        {
            lane.Position += (ulong)bytes;
            lane.Crc32C = Crc32C.Combine(lane.Crc32C, check, (ulong)bytes);
        }
        _meter.AddDevice(bytes);
        return bytes;
    }

    private void FailAll()
    {
        var failure = _funnel.Failure!;
        lock (_lock)
        {
            foreach (var lane in _lanes)
            {
                if (lane.Request != LaneRequest.None) lane.Finish(Again(failure));
                foreach (var acked in new[] { lane.InitialAcked, lane.EndAcked })
                {
                    acked.TrySetException(Again(failure));
                    _ = acked.Task.Exception; // nobody may be waiting
                }
            }
        }
    }

    private static TransferFailedException Again(TransferFailedException failure) =>
        new(failure.Reason, failure.Message, failure);
}
