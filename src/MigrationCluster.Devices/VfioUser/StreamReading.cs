namespace MigrationCluster.Devices.VfioUser;

/// <summary>
/// A device's stream, read ahead from one offset on: while a chunk is being sent, the next are asked for, so that the device has its
/// next command when it has done one, and works at its own pace.
///
/// <code>
///   buffer   | being sent | read, waits | being read | asked for |   the oldest goes first; its place is the next to be asked for
/// </code>
/// </summary>
/// <remarks>Every read that was asked for is waited for before this ends: the buffer is the endpoint's until then.</remarks>
public sealed class StreamReading : IAsyncDisposable
{
    /// <summary>The most that one command carries.</summary>
    private const int ChunkBytes = VfioUserClient.MaxTransferBytes;

    private const int Chunks = 3;

    /// <summary>Retained bytes are released this often. What is read ahead, what the destination has not acknowledged (4 MiB) and
    /// what is not released yet are at most 14 MiB, of the endpoint's window of 16.</summary>
    private const ulong ReleaseEveryBytes = 2 << 20;

    public const int BufferBytes = Chunks * ChunkBytes;

    private readonly EndpointClient _client;
    private readonly Memory<byte> _buffer;
    private readonly CancellationToken _cancel;
    private readonly Queue<(Task<(ulong Offset, int Bytes)> Read, Memory<byte> Place)> _ahead = new();
    private Task _releasing = Task.CompletedTask;
    private ulong _position, _released;
    private int _asked;

    /// <param name="buffer">of <see cref="BufferBytes"/>.</param>
    public StreamReading(EndpointClient client, ulong offset, StreamBuffer buffer, CancellationToken cancel) =>
        (_client, _position, _buffer, _cancel) = (client, offset, buffer.Memory, cancel);

    /// <returns>where it begins in the stream, and its bytes, valid until the next call; empty: the end of data, in PreCopy drained for now.</returns>
    /// <exception cref="DeviceRefusedException">see <see cref="IMigrationEndpoint.ReadStreamAsync"/>.</exception>
    public async ValueTask<(ulong Offset, ReadOnlyMemory<byte> Data)> NextAsync()
    {
        // The first; of a guest process that takes no buffer, and so cannot be asked ahead, every one.
        if (_ahead.Count == 0) Ask(place => ReadAsync(_position, place));
        while (true)
        {
            var (read, place) = _ahead.Peek();
            var (offset, bytes) = await read;
            _ahead.Dequeue();
            _position = offset + (ulong)bytes;
            // In PreCopy a device may have bytes again by the time of the next read, which was under way already.
            if (bytes == 0 && _ahead.Count > 0) continue;
            while (bytes > 0 && _client.HasStreamBuffer && _ahead.Count < Chunks - 1)
                Ask(place => _client.ReadStreamOnAsync(place, _cancel));
            return (offset, place[..bytes]);
        }
    }

    private void Ask(Func<Memory<byte>, ValueTask<(ulong, int)>> read)
    {
        var place = _buffer.Slice(_asked++ % Chunks * ChunkBytes, ChunkBytes);
        _ahead.Enqueue((read(place).AsTask(), place));
    }

    private async ValueTask<(ulong Offset, int Bytes)> ReadAsync(ulong offset, Memory<byte> place) =>
        (offset, await _client.ReadStreamAsync(offset, place, _cancel));

    /// <summary>Has the guest process let go of what the destination's device has.</summary>
    /// <remarks>Not waited for before the next time: it stands in line behind the reads that were asked for.</remarks>
    public async ValueTask ReleaseAsync(ulong acked)
    {
        if (acked < _released + ReleaseEveryBytes) return;
        await _releasing;
        _released = acked;
        _releasing = _client.AckStreamAsync(acked, _cancel).AsTask();
    }

    public async ValueTask DisposeAsync()
    {
        await EndedAsync(_releasing);
        foreach (var (read, _) in _ahead) await EndedAsync(read);
        _ahead.Clear();
    }

    private static Task EndedAsync(Task task) => task.ContinueWith(
        static task => { _ = task.Exception; }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
}
