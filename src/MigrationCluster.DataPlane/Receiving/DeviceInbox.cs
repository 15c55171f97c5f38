using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.DataPlane.Sending;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.DataPlane.Receiving;

/// <summary>
/// One device's frames between the connection and the device: 16 places, so that a slow device does not keep the channel
/// from the others. The check is made on the copy that the device gets. Full chunks that wait go to the device together, up to 2 MiB:
/// each call of it goes there and back through two processes, and a state of gigabytes by 256 KiB took three times as long.
/// </summary>
/// <remarks>Memory: 16 * 256 KiB = 4 MiB a device, side by side, of which only what chunks have touched is there.</remarks>
/// <param name="standing">where the device's stream goes on.</param>
internal sealed class DeviceInbox(DeviceStream standing, IDeviceStateSink sink, BreakFunnel funnel, TransferMeter meter)
{
    private const int Places = DeviceLane.MaxFrames;
    private const int PlaceBytes = DataPlaneWire.MaxDeviceChunkBytes;
    private const int MostTogether = 8;
    private const int LeastMadePresent = 64 << 10;

    private readonly Lock _lock = new();
    private readonly AsyncSignal _filled = new();
    private readonly Place[] _places = [.. Enumerable.Range(0, Places).Select(number => new Place(number))];
    private readonly int _device = standing.Device;
    private Memory<byte> _bytes; // of all places; empty until a chunk comes
    private int _oldest, _count;
    private ulong _accepted = standing.Bytes;
    private uint _crc = standing.Crc32C;
    private DeviceStream? _ended;

    /// <summary>The whole stream once the device has accepted it; else null.</summary>
    internal DeviceStream? Ended
    {
        get { lock (_lock) return _ended; }
    }

    /// <summary>Set when a place has become free, and when the session stops.</summary>
    internal Signal Emptied { get; } = new();

    /// <summary>Hands frames to the device, one after the other, until the session stops; never faults.</summary>
    /// <param name="acknowledge">notes a frame that the device has, by its number, and its bytes.</param>
    /// <param name="flush">tells the source of what was noted.</param>
    internal async Task RunAsync(Action<ulong, long> acknowledge, Action flush)
    {
        try
        {
            while (true)
            {
                while (Peek() is { } place)
                {
                    Check(place);
                    int together = CountTogether(place);
                    try
                    {
                        await GiveAsync(place, together);
                    }
                    catch (Exception exception) when (!funnel.Stopping.IsCancellationRequested)
                    {
                        throw Wrong(TransferFailureReason.DeviceSinkFailed, exception.Message, exception);
                    }
                    for (; together > 0; together--)
                    {
                        var (sequence, length) = (Peek()!.Header.Sequence, Peek()!.Length);
                        Accept(Peek()!);
                        acknowledge(sequence, length);
                    }
                    flush();
                }
                await _filled.WaitAsync(funnel.Stopping);
            }
        }
        catch (Exception exception)
        {
            funnel.Break(exception, $"device {_device}");
        }
        Emptied.Set();
    }

    private void Check(Place place)
    {
        var header = place.Header;
        if (_ended is not null) throw Wrong(TransferFailureReason.BadFrame, "a frame follows the end of its stream");
        if (header.First != _accepted)
            throw Wrong(TransferFailureReason.BadFrame, $"a frame at offset {header.First} follows {_accepted}");
        if (header.Kind == FrameKind.DeviceChunk && place.Computed != place.Check)
            throw Wrong(
                TransferFailureReason.DeviceChunkCorrupt,
                $"{place.Length} bytes at offset {header.First} do not match their CRC-32C");
        if (header.Kind == FrameKind.DeviceEnd && (uint)header.Count != _crc)
            throw Wrong(
                TransferFailureReason.DeviceStreamDisagrees,
                $"the stream of {_accepted} bytes has CRC-32C {_crc:x8}, on the source {header.Count:x8}");
    }

    /// <summary>How many full chunks, with this one as the first and any as the last, lie side by side, follow each other and are right. One
    /// that is not is met when it is the first.</summary>
    private int CountTogether(Place first)
    {
        int waiting;
        lock (_lock) waiting = Math.Min(_count, Math.Min(MostTogether, Places - first.Number));
        for (int together = 1; ; together++)
        {
            var last = _places[first.Number + together - 1];
            if (together >= waiting || last.Length < PlaceBytes) return together;
            var next = _places[last.Number + 1];
            if (next.Header.Kind != FrameKind.DeviceChunk || next.Header.First != last.Header.First + PlaceBytes || next.Computed != next.Check)
                return together;
        }
    }

    private ValueTask GiveAsync(Place place, int together) => place.Header.Kind switch
    {
        FrameKind.DeviceChunk => sink.WriteAsync(
            _device, place.Header.First,
            _bytes.Slice(place.Number * PlaceBytes, (together - 1) * PlaceBytes + _places[place.Number + together - 1].Length), funnel.Stopping),
        FrameKind.InitialBytesEnd => sink.EndInitialBytesAsync(_device, funnel.Stopping),
        _ => sink.EndAsync(_device, place.Header.First, (uint)place.Header.Count, funnel.Stopping),
    };

    private void Accept(Place place)
    {
        if (place.Header.Kind == FrameKind.DeviceChunk)
        {
            _crc = Crc32C.Combine(_crc, place.Check, (ulong)place.Length);
            _accepted += (ulong)place.Length;
            meter.AddDevice(place.Length);
        }
        lock (_lock)
        {
            if (place.Header.Kind == FrameKind.DeviceEnd) _ended = new DeviceStream(_device, _accepted, _crc);
            (_oldest, _count) = ((_oldest + 1) % Places, _count - 1);
        }
        Emptied.Set();
    }

    private TransferFailedException Wrong(TransferFailureReason reason, string why, Exception? inner = null) =>
        new(reason, $"device {_device}: {why}", inner);

    /// <summary>Takes a frame over; false when all places are taken. From the channel's reading loop only.</summary>
    internal bool TryPost(in FrameHeader header, ReadOnlySpan<byte> payload)
    {
        Place place;
        lock (_lock)
        {
            if (_count == Places) return false;
            place = _places[(_oldest + _count) % Places];
        }
        // Only this loop fills places, and the device's loop does not look at this one before it is counted.
        place.Header = header;
        place.Length = Math.Max(payload.Length - sizeof(uint), 0);
        if (place.Length > 0)
        {
            place.Check = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(payload);
            if (_bytes.IsEmpty) _bytes = sink.NewBuffer(Places * PlaceBytes);
            var here = _bytes.Span.Slice(place.Number * PlaceBytes, place.Length);
            if (!place.Present && place.Length >= LeastMadePresent)
            {
                GuestPages.MakePresent(here);
                place.Present = true;
            }

            place.Computed = Crc32C.Copy(payload[sizeof(uint)..], here);
        }
        lock (_lock) _count++;
        _filled.Set();
        return true;
    }

    private Place? Peek()
    {
        lock (_lock) return _count == 0 ? null : _places[_oldest];
    }

    private sealed class Place(int number)
    {
        internal readonly int Number = number;
        internal FrameHeader Header;
        internal uint Check, Computed; // as it was sent, and of the copy that is here
        internal int Length;
        internal bool Present; // the kernel has put memory behind it
    }
}
