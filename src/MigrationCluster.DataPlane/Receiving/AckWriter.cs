using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Receiving;

/// <summary>
/// The only writer of a channel's way back: acknowledgements, the verdict, and why the destination gives up.
/// </summary>
/// <remarks>
/// Neighbouring frames become one acknowledgement. It leaves after 1 MiB or 256 frames, or when the channel has no more
/// input and is not inside a frame: far closer than 16 MiB, the source's window. Bound: a page channel acknowledges in order, one range; on
/// the device channel at most 64 devices * 8 frames + the manifest = 513 are under way, so 1024 ranges are never exceeded
/// by a source that keeps its windows.
/// </remarks>
internal sealed class AckWriter(Connection connection, BreakFunnel funnel, TransferMeter meter)
{
    private const int FlushBytes = 1 << 20;
    private const int FlushFrames = 256;
    private const int MaxRanges = 1024;
    private const int BufferBytes = 64 * FrameHeader.SizeBytes;
    private static readonly TimeSpan AbortLimit = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly AsyncSignal _wake = new();
    private readonly (ulong First, ulong Count)[] _ranges = new (ulong, ulong)[MaxRanges];
    private readonly OutgoingBuffer _buffer = new(BufferBytes, connection.Sealer);
    private int _oldest, _pending, _unflushedFrames;
    private long _unflushedBytes;
    private ulong _sequence, _sentSequence;
    private byte[]? _verdict;
    private bool _closing, _partlySent;

    /// <summary>Notes that a frame's content is where it belongs.</summary>
    /// <exception cref="TransferFailedException">the source sends on without reading acknowledgements.</exception>
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

    internal void Flush()
    {
        lock (_lock)
        {
            if (_pending == 0) return;
            _unflushedFrames = 0;
            _unflushedBytes = 0;
        }
        _wake.Set();
    }

    internal void PostVerdict(TransferManifest own)
    {
        Volatile.Write(ref _verdict, SHA256.HashData(own.ToBytes()));
        _wake.Set();
    }

    /// <summary>The channel's input has ended: write what is pending, the reason if there is one, and end.</summary>
    internal void Close()
    {
        Volatile.Write(ref _closing, true);
        _wake.Set();
    }

    /// <summary>Ends after <see cref="Close"/>; never faults.</summary>
    internal async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _wake.WaitAsync(CancellationToken.None);
                bool closing = Volatile.Read(ref _closing);
                int length;
                while ((length = TakeAcks()) > 0) await SendAsync(length, funnel.Stopping);
                if (Interlocked.Exchange(ref _verdict, null) is { } digest)
                    await SendAsync(WriteChecked(FrameKind.Verdict, 0, digest), funnel.Stopping);
                if (closing) break;
            }
        }
        catch (OperationCanceledException)
        {
            // Maybe in the middle of a frame; then no reason can follow on this channel.
            if (_partlySent) return;
            _sequence = _sentSequence;
        }
        catch (Exception exception)
        {
            funnel.Break(exception, "the way back to the source");
            return;
        }
        await TellWhyAsync();
    }

    private async Task TellWhyAsync()
    {
        if (funnel.Failure is not { } failure) return;
        using var limit = new CancellationTokenSource(AbortLimit);
        try
        {
            var text = Encoding.UTF8.GetBytes(failure.Message);
            await SendAsync(
                WriteChecked(
                    FrameKind.Abort, (ulong)failure.Reason,
                    text.AsSpan(0, Math.Min(text.Length, DataPlaneWire.MaxAbortTextBytes))),
                limit.Token);
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The source learns of it by the end of the connection.
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(int length, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested(); // before it is sealed: a record that has a number must leave
        _partlySent = true;
        var leaving = _buffer.Finish(length);
        meter.AddProtocol(leaving.Length);
        while (!leaving.IsEmpty) leaving = leaving[await connection.Socket.SendAsync(leaving, cancellationToken)..];
        _partlySent = false;
        _sentSequence = _sequence;
    }

    private int TakeAcks()
    {
        lock (_lock)
        {
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
