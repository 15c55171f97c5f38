using System.Buffers;
using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>
/// One socket of a vfio-user conversation, for either side: sends commands and matches their replies, receives the
/// peer's commands and sends replies.
///
/// <code>
///   CallAsync --send gate--> socket ====> peer
///   reader loop &lt;=========== socket: replies complete their call, commands go to a bounded queue
///   handler loop: the peer's commands, one at a time, in order
/// </code>
/// The reader never waits for a handler, so a handler may itself call the peer. A channel breaks once, keeps the
/// first reason, and fails whatever waits or comes later with it.
/// </summary>
internal sealed class MessageChannel : IAsyncDisposable
{
    /// <summary>Commands of the peer that may wait here; the peer's socket buffer holds the rest.</summary>
    private const int QueueLength = 64;

    private const int MaxHeadBytes = 256;
    private const long Never = long.MaxValue;
    private static readonly TimeSpan ReplyLimit = TimeSpan.FromSeconds(30);

    /// <summary>Milliseconds that a timer may be late on a machine that is only busy.</summary>
    private const long Grace = 1000;

    private readonly Socket _socket;
    private readonly string _name;
    private readonly int _maxBodyBytes;
    private readonly Func<IncomingCommand, ValueTask> _handler;
    private readonly Channel<IncomingCommand> _queue =
        Channel.CreateBounded<IncomingCommand>(new BoundedChannelOptions(QueueLength) { SingleReader = true, SingleWriter = true });
    private readonly SemaphoreSlim _sendGate = new(1);
    private readonly CancellationTokenSource _stop = new();
    private readonly byte[] _sendHead = new byte[VfioUserHeader.Size + MaxHeadBytes];
    private readonly byte[] _receiveHead = new byte[VfioUserHeader.Size];
    private readonly byte[] _scratch = new byte[4096];

    private readonly Lock _lock = new();
    private readonly Dictionary<ushort, PendingCall> _pending = [];
    private readonly Timer _watchdog;
    private readonly TaskCompletionSource<string> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ushort _lastId;
    private long _watchAt = Never;
    private long _replyBy = Never;
    private bool _readerEnded;
    private string? _reason;
    private Exception? _cause;
    private Task _loops = Task.CompletedTask;

    /// <param name="name">of the peer, for messages.</param>
    /// <param name="maxBodyBytes">longest command body taken; a longer one is read away and told to the handler.</param>
    /// <param name="handler">answers a command of the peer; what it throws breaks the channel.</param>
    public MessageChannel(Socket socket, string name, int maxBodyBytes, Func<IncomingCommand, ValueTask> handler)
    {
        _socket = socket;
        _name = name;
        _maxBodyBytes = maxBodyBytes;
        _handler = handler;
        _watchdog = new Timer(_ => WatchDeadlines(), null, Timeout.Infinite, Timeout.Infinite);
        // The kernel caps these at net.core.[rw]mem_max; larger buffers mean fewer wake-ups per MiB.
        socket.SendBufferSize = 4 << 20;
        socket.ReceiveBufferSize = 4 << 20;
    }

    /// <summary>Completes with the reason once the channel is broken or disposed.</summary>
    public Task<string> Closed => _closed.Task;

    public void Start() => _loops = Task.WhenAll(Task.Run(ReadLoopAsync), Task.Run(HandleLoopAsync));

    /// <summary>Sends a command and waits for its reply.</summary>
    /// <param name="replyHead">gets the reply body's first bytes.</param>
    /// <param name="replyData">gets the bytes after them, as far as they fit; what fits neither is dropped, or kept.</param>
    /// <param name="limit">from now to the reply; running out of it breaks the channel.</param>
    /// <param name="cancellationToken">honoured until the command is being sent; a command on its way is not abandoned.</param>
    /// <exception cref="DeviceLostException">the channel is broken or broke meanwhile.</exception>
    public async ValueTask<Reply> CallAsync(
        ushort command, ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> data, IReadOnlyList<SafeFileHandle> files,
        Memory<byte> replyHead, Memory<byte> replyData, bool keepRest, TimeSpan limit,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        long deadline = Environment.TickCount64 + (long)limit.TotalMilliseconds;
        var call = new PendingCall(command, replyHead, replyData, keepRest, deadline);
        ushort id = Register(call);
        try
        {
            await _sendGate.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            lock (_lock) _pending.Remove(id);
            throw;
        }
        try
        {
            var header = VfioUserHeader.ForCommand(id, command, head.Length + data.Length);
            await SendLockedAsync(header, head, data, files, limit);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
        {
            Break($"sending {NameOf(command)} failed: {e.Message}", e);
        }
        finally
        {
            _sendGate.Release();
        }
        return await call.Completion.Task;
    }

    /// <summary>Sends a reply. A peer that is gone is no concern of whoever answers it.</summary>
    public async ValueTask ReplyAsync(
        VfioUserHeader header, ReadOnlyMemory<byte> body, IReadOnlyList<SafeFileHandle> files)
    {
        await _sendGate.WaitAsync();
        try
        {
            ReplyBy(Environment.TickCount64 + (long)ReplyLimit.TotalMilliseconds);
            await SendLockedAsync(header, ReadOnlyMemory<byte>.Empty, body, files, ReplyLimit);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
        {
            Break($"replying to {NameOf(header.Command)} failed: {e.Message}", e);
        }
        finally
        {
            ReplyBy(Never);
            _sendGate.Release();
        }
    }

    /// <summary>Ends the conversation; the first reason is kept.</summary>
    public void Break(string reason, Exception? cause = null)
    {
        lock (_lock)
        {
            if (_reason is not null) return;
            _reason = reason;
            _cause = cause;
        }
        _stop.Cancel();
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Already gone, which is what was wanted.
        }
        _closed.TrySetResult($"{_name}: {reason}");
    }

    public async ValueTask DisposeAsync()
    {
        Break("closed on this side");
        await _loops;
        await _watchdog.DisposeAsync();
        // The stop source and the gate hold no handles, and a late sender may still touch them.
        _socket.Dispose();
    }

    private ushort Register(PendingCall call)
    {
        lock (_lock)
        {
            if (_reason is not null || _readerEnded) throw Lost();
            if (_pending.Count == ushort.MaxValue) throw new InvalidOperationException("too many commands in flight");
            do _lastId++;
            while (_pending.ContainsKey(_lastId));
            _pending.Add(_lastId, call);
            WatchLocked(call.Deadline);
            return _lastId;
        }
    }

    private void ReplyBy(long deadline)
    {
        lock (_lock)
        {
            _replyBy = deadline;
            WatchLocked(deadline);
        }
    }

    /// <summary>One timer serves all calls: it sleeps until the earliest deadline and looks again.</summary>
    private void WatchLocked(long deadline)
    {
        if (deadline >= _watchAt) return;
        _watchAt = deadline;
        _watchdog.Change(Math.Max(0, deadline - Environment.TickCount64) + 1, Timeout.Infinite);
    }

    /// <remarks>A timer that is itself far too late tells that this process stood still: what answers it would have had meanwhile lies in
    /// the socket, unread.</remarks>
    private void WatchDeadlines()
    {
        string? late = null;
        lock (_lock)
        {
            long now = Environment.TickCount64;
            bool stoodStill = now - _watchAt > Grace;
            _watchAt = Never;
            if (_readerEnded || _reason is not null) return;
            if (stoodStill)
            {
                WatchLocked(now + Grace);
                return;
            }

            if (_replyBy <= now) late = "the peer does not read its reply";
            long next = _replyBy;
            foreach (var call in _pending.Values)
            {
                if (call.Deadline <= now) late = $"no answer to {NameOf(call.Command)} within its time limit";
                next = Math.Min(next, call.Deadline);
            }
            if (late is null) WatchLocked(next);
        }
        if (late is not null) Break(late);
    }

    /// <summary>Header, head and data leave in one sendmsg as far as the buffer takes them: some servers read a body with
    /// a single recv.</summary>
    private async ValueTask SendLockedAsync(
        VfioUserHeader header, ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> data,
        IReadOnlyList<SafeFileHandle> files, TimeSpan limit)
    {
        header.Write(_sendHead);
        // A long head (a list or a text) is sent as data; only one of the two is ever long.
        if (head.Length > MaxHeadBytes)
        {
            if (data.Length > 0) throw new ArgumentException("a long head leaves no room for data");
            (data, head) = (head, ReadOnlyMemory<byte>.Empty);
        }
        head.CopyTo(_sendHead.AsMemory(VfioUserHeader.Size));
        var prefix = _sendHead.AsMemory(0, VfioUserHeader.Size + head.Length);
        int sent = DescriptorSocket.TrySend(_socket, prefix.Span, data.Span, files);
        while (sent < 0 && files.Count > 0)
        {
            if (!DescriptorSocket.WaitWritable(_socket, limit)) throw new IOException("the peer reads nothing");
            sent = DescriptorSocket.TrySend(_socket, prefix.Span, data.Span, files);
        }
        sent = Math.Max(sent, 0);
        if (sent < prefix.Length) await SendAllAsync(prefix[sent..]);
        int dataSent = Math.Max(sent - prefix.Length, 0);
        if (dataSent < data.Length) await SendAllAsync(data[dataSent..]);
    }

    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, _stop.Token)..];
    }

    private async Task ReadLoopAsync()
    {
        var files = new List<SafeFileHandle>();
        try
        {
            while (await ReadHeaderAsync(files))
            {
                if (!VfioUserHeader.TryRead(_receiveHead, out var header))
                    throw new IOException("the peer sent bytes that are no message");
                var received = files.Count == 0 ? [] : files.ToArray();
                files.Clear();
                if (header.IsReply) await ReadReplyAsync(header, received);
                else await ReadCommandAsync(header, received);
            }
            Break("the peer closed the connection");
        }
        catch (Exception e)
        {
            Break(e is OperationCanceledException ? "closed" : e.Message, e);
        }
        finally
        {
            foreach (var file in files) file.Dispose();
            _queue.Writer.TryComplete();
            FailPending();
        }
    }

    private void FailPending()
    {
        PendingCall[] failed;
        lock (_lock)
        {
            _readerEnded = true;
            failed = [.. _pending.Values];
            _pending.Clear();
        }
        foreach (var call in failed) call.Completion.TrySetException(Lost());
    }

    /// <returns>false: the peer closed between two messages.</returns>
    private async ValueTask<bool> ReadHeaderAsync(List<SafeFileHandle> files)
    {
        for (int have = 0; have < _receiveHead.Length;)
        {
            int received = DescriptorSocket.TryReceive(_socket, _receiveHead.AsSpan(have), files);
            // A receive of no bytes waits until there are some, and leaves them and their descriptors alone.
            if (received < 0) await _socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, _stop.Token);
            else if (received == 0) return have == 0 ? false : throw new IOException("the peer closed inside a message");
            else have += received;
        }
        return true;
    }

    private async ValueTask ReadReplyAsync(VfioUserHeader header, SafeFileHandle[] files)
    {
        PendingCall? call;
        lock (_lock) _pending.TryGetValue(header.Id, out call);
        try
        {
            if (call is null || call.Command != header.Command)
                throw new IOException($"the peer replied to a {NameOf(header.Command)} that nobody sent");
            var reply = await ReadReplyBodyAsync(header, call, files);
            lock (_lock) _pending.Remove(header.Id);
            call.Completion.TrySetResult(reply);
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    private async ValueTask<Reply> ReadReplyBodyAsync(VfioUserHeader header, PendingCall call, SafeFileHandle[] files)
    {
        int left = header.BodyBytes;
        int headBytes = 0, dataBytes = 0;
        if (!header.IsError)
        {
            headBytes = Math.Min(left, call.Head.Length);
            await ReceiveAllAsync(call.Head[..headBytes]);
            left -= headBytes;
            dataBytes = Math.Min(left, call.Data.Length);
            await ReceiveAllAsync(call.Data[..dataBytes]);
            left -= dataBytes;
        }
        // An error's body is a reason on our extension and noise elsewhere; a page of it is plenty.
        int keep = header.IsError ? Math.Min(left, _scratch.Length) : call.KeepRest ? left : 0;
        if (keep > PendingCall.MaxRestBytes) throw new IOException($"a reply of {left} bytes to {NameOf(header.Command)}");
        byte[] rest = keep == 0 ? [] : new byte[keep];
        await ReceiveAllAsync(rest);
        await DiscardAsync(left - keep);
        return new Reply(header.IsError, (int)header.Errno, headBytes, dataBytes, rest, files);
    }

    private async ValueTask ReadCommandAsync(VfioUserHeader header, SafeFileHandle[] files)
    {
        int length = header.BodyBytes <= _maxBodyBytes ? header.BodyBytes : 0;
        byte[] buffer = length == 0 ? [] : ArrayPool<byte>.Shared.Rent(length);
        var command = new IncomingCommand(header, buffer, length, files);
        try
        {
            await ReceiveAllAsync(buffer.AsMemory(0, length));
            await DiscardAsync(header.BodyBytes - length);
            await _queue.Writer.WriteAsync(command, _stop.Token);
        }
        catch
        {
            command.Dispose();
            throw;
        }
    }

    private async ValueTask ReceiveAllAsync(Memory<byte> destination)
    {
        while (destination.Length > 0)
        {
            int received = await _socket.ReceiveAsync(destination, SocketFlags.None, _stop.Token);
            if (received == 0) throw new IOException("the peer closed inside a message");
            destination = destination[received..];
        }
    }

    private async ValueTask DiscardAsync(int bytes)
    {
        for (; bytes > 0; bytes -= Math.Min(bytes, _scratch.Length))
            await ReceiveAllAsync(_scratch.AsMemory(0, Math.Min(bytes, _scratch.Length)));
    }

    private async Task HandleLoopAsync()
    {
        await foreach (var command in _queue.Reader.ReadAllAsync())
        {
            using (command)
            {
                if (_stop.IsCancellationRequested) continue;
                try
                {
                    await _handler(command);
                }
                catch (Exception e)
                {
                    Break($"handling {NameOf(command.Header.Command)} failed: {e.Message}", e);
                }
            }
        }
    }

    private DeviceLostException Lost()
    {
        lock (_lock) return new DeviceLostException($"{_name}: {_reason ?? "closed"}", _cause);
    }

    private static string NameOf(ushort command) =>
        Enum.IsDefined((VfioUserCommand)command) ? ((VfioUserCommand)command).ToString()
        : Enum.IsDefined((ExtensionCommand)command) ? ((ExtensionCommand)command).ToString()
        : $"command {command}";
}
