using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>How a state stream's bytes get to the other side: where they lie, if that is a buffer that the server takes, else behind the
/// messages.</summary>
public partial class VfioUserClient
{
    private readonly Lock _streamLock = new();
    private StreamBuffer? _shared;
    private int _streamsUnderWay;
    private bool _takesNoBuffer;

    /// <summary>Whether the server has taken a stream buffer.</summary>
    public bool HasStreamBuffer => _shared is not null;

    /// <param name="command">one whose body is a <see cref="StreamRange"/>.</param>
    /// <param name="place">of <see cref="EnterBufferAsync"/>.</param>
    /// <returns>the reply's offset, and how many bytes there are.</returns>
    private protected async ValueTask<(ulong Offset, int Bytes)> ReadRangeAsync(
        ExtensionCommand command, ulong offset, Memory<byte> destination, int? place, CancellationToken cancellationToken)
    {
        byte[] head = new byte[StreamRange.Size];
        StreamRange.At(offset, destination.Length, place).Write(head);
        var reply = await AskAsync(
            (ushort)command, head, default, head, place is null ? destination : default, cancellationToken);
        DisposeAll(reply.Files);
        if (!StreamRange.TryRead(head, out var range) || range.SizeBytes > (place is null ? reply.DataBytes : destination.Length))
            throw Broken($"claims {range.SizeBytes} bytes of state in a reply of {reply.DataBytes}");
        return (range.Offset, (int)range.SizeBytes);
    }

    private protected async ValueTask WriteRangeAsync(
        ExtensionCommand command, ulong offset, ReadOnlyMemory<byte> data, int? place, CancellationToken cancellationToken)
    {
        byte[] head = new byte[StreamRange.Size];
        StreamRange.At(offset, data.Length, place).Write(head);
        await AskAsync((ushort)command, head, place is null ? data : default, default, default, cancellationToken);
    }

    /// <summary>A stream command that names memory is about to be sent; <see cref="LeaveBuffer"/> once it is answered.</summary>
    /// <returns>the memory's place in the buffer that the server now has; null: the bytes go behind the message.</returns>
    /// <exception cref="InvalidOperationException">commands that are under way name another buffer.</exception>
    private protected async ValueTask<int?> EnterBufferAsync(ReadOnlyMemory<byte> memory, CancellationToken cancellationToken)
    {
        if (_takesNoBuffer || !SpeaksExtension || !StreamBuffer.TryFind(memory, out var buffer, out int place)) return null;
        lock (_streamLock)
        {
            if (_shared != buffer && _streamsUnderWay > 0)
                throw new InvalidOperationException("stream commands under way at one time lie in one buffer");
            _streamsUnderWay++;
            if (_shared == buffer) return place;
        }
        try
        {
            await AskAsync(
                (ushort)ExtensionCommand.ShareStreamBuffer, default, default, default, default, cancellationToken, files: [buffer!.File]);
        }
        catch (DeviceRefusedException e) when (e.Errno == Errno.EINVAL)
        {
            _takesNoBuffer = true; // a server from before there was such a command
            LeaveBuffer(place);
            return null;
        }
        catch
        {
            LeaveBuffer(place);
            throw;
        }
        lock (_streamLock) _shared = buffer;
        return place;
    }

    private protected void LeaveBuffer(int? place)
    {
        if (place is null) return;
        lock (_streamLock) _streamsUnderWay--;
    }
}
