using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Receiving;

/// <summary>
/// A channel's way back: acknowledgements, the verdict, and why the destination gives up. Whoever has something to say sends it, one
/// after the other.
/// </summary>
/// <remarks>
/// Neighbouring frames become one acknowledgement. It leaves after 8 MiB or 256 frames, or when the channel has no more
/// input and is not inside a frame: half of 16 MiB, the source's window. Bound: a page channel acknowledges in order, one range; on
/// the device channel at most 64 devices * 16 frames + the manifest = 1025 are under way, so 2048 ranges are never exceeded
/// by a source that keeps its windows. One that does not read what is sent here stops the one who sends, until the connection's send timeout.
/// </remarks>
internal sealed class AckWriter(Connection connection, BreakFunnel funnel, TransferMeter meter)
{
    private const int FlushBytes = 8 << 20; // each wakes a thread of the source: by 1 MiB pages went 8 % slower
    private const int FlushFrames = 256;
    private const int MaxRanges = 2048;
    private const int BufferBytes = 64 * FrameHeader.SizeBytes;

    private readonly Lock _lock = new();
    private readonly Lock _sending = new(); // taken first
    private readonly (ulong First, ulong Count)[] _ranges = new (ulong, ulong)[MaxRanges];
    private readonly OutgoingBuffer _buffer = new(BufferBytes, connection.Sealer);
    private int _oldest, _pending, _unflushedFrames;
    private long _unflushedBytes;
    private ulong _sequence;
    private bool _partlySent;

    /// <summary>Frames were noted that the source has not heard of.</summary>
    internal bool IsPending
    {
        get { lock (_lock) return _pending > 0; }
    }

    /// <summary>Notes that a frame's content is where it belongs.</summary>
    /// <exception cref="TransferFailedException">the source sends on without reading acknowledgements.</exception>
    /// <exception cref="SocketException">the connection is gone.</exception>
    internal void Add(ulong sequence, long bytes)
    {
        bool flush;
        lock (_lock)
        {
            ref var last = ref _ranges[(_oldest + _pending + MaxRanges - 1) % MaxRanges];
            if (_pending > 0 && last.First + last.Count == sequence) last.Count++;
            else if (_pending < MaxRanges) _ranges[(_oldest + _pending++) % MaxRanges] = (sequence, 1);
            else throw new TransferFailedException(
                TransferFailureReason.BadFrame, "the source sends beyond its window without reading acknowledgements");
            _unflushedBytes += bytes;
            flush = ++_unflushedFrames >= FlushFrames || _unflushedBytes >= FlushBytes;
        }
        if (flush) Flush();
    }

    /// <summary>Sends what is pending; once the session is over nothing, because the reason must find its place.</summary>
    /// <exception cref="SocketException">the connection is gone.</exception>
    internal void Flush()
    {
        lock (_sending)
        {
            while (funnel.Failure is null && TakeAcks() is > 0 and var length) Send(length);
        }
    }

    internal void SendVerdict(TransferManifest own)
    {
        lock (_sending)
        {
            if (funnel.Failure is null) Send(WriteChecked(FrameKind.Verdict, 0, SHA256.HashData(own.ToBytes())));
        }
    }

    /// <summary>The last word, where there is a reason for one: why the session is over. Never throws.</summary>
    internal void TellWhy()
    {
        lock (_sending)
        {
            // In the middle of a frame no reason can follow on this channel.
            if (funnel.Failure is not { } failure || _partlySent) return;
            var text = Encoding.UTF8.GetBytes(failure.Message);
            try
            {
                Send(WriteChecked(
                    FrameKind.Abort, (ulong)failure.Reason, text.AsSpan(0, Math.Min(text.Length, DataPlaneWire.MaxAbortTextBytes))));
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                // The source learns of it by the end of the connection.
            }
        }
    }

    private void Send(int length)
    {
        _partlySent = true;
        var leaving = _buffer.Finish(length);
        meter.AddProtocol(leaving.Length);
        SocketSetup.SendAll(connection.Socket, leaving.Span);
        _partlySent = false;
    }

    private int TakeAcks()
    {
        lock (_lock)
        {
            (_unflushedFrames, _unflushedBytes) = (0, 0);
            int length = 0;
            for (; _pending > 0 && length < BufferBytes; _pending--, length += FrameHeader.SizeBytes)
            {
                var (first, count) = _ranges[_oldest];
                _oldest = (_oldest + 1) % MaxRanges;
                new FrameHeader(FrameKind.Ack, 0, ++_sequence, first, count).Write(_buffer.Frames.Span[length..]);
            }
            return length;
        }
    }

    private int WriteChecked(FrameKind kind, ulong first, ReadOnlySpan<byte> data)
    {
        new FrameHeader(kind, 0, ++_sequence, first, (ulong)data.Length).Write(_buffer.Frames.Span);
        Checks.Write(_buffer.Frames.Span.Slice(FrameHeader.SizeBytes, sizeof(uint) + data.Length), data);
        return FrameHeader.SizeBytes + sizeof(uint) + data.Length;
    }
}
