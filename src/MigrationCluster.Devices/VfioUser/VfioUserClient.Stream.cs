using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>How a state stream's bytes get to the other side: through a shared buffer where the server takes one, else behind the
/// messages.</summary>
public partial class VfioUserClient
{
    private readonly SemaphoreSlim _streamTurn = new(1, 1);
    private StreamBuffer? _streamBuffer;
    private bool _askedForStreamBuffer;

    /// <summary>Whether the server has taken a shared buffer; known after the first bytes of a stream.</summary>
    public bool HasStreamBuffer => _streamBuffer is not null;

    /// <param name="head">of the command, and of the reply that takes its place.</param>
    /// <param name="sizeOf">how many bytes the reply's head says there are.</param>
    private protected async ValueTask<int> ReadStreamBytesAsync(
        ushort command, byte[] head, Memory<byte> destination, Func<byte[], uint> sizeOf, CancellationToken cancellationToken)
    {
        await _streamTurn.WaitAsync(cancellationToken);
        try
        {
            var shared = await ShareStreamBufferAsync(cancellationToken);
            var reply = await AskAsync(
                command, head, default, head, shared is null ? destination : default, cancellationToken);
            DisposeAll(reply.Files);
            uint size = sizeOf(head);
            if (size > (shared is null ? reply.DataBytes : destination.Length))
                throw Broken($"claims {size} bytes of state in a reply of {reply.DataBytes}");
            shared?.GetSpan()[..(int)size].CopyTo(destination.Span);
            return (int)size;
        }
        finally
        {
            _streamTurn.Release();
        }
    }

    private protected async ValueTask WriteStreamBytesAsync(
        ushort command, byte[] head, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        await _streamTurn.WaitAsync(cancellationToken);
        try
        {
            var shared = await ShareStreamBufferAsync(cancellationToken);
            if (shared is not null) data.Span.CopyTo(shared.GetSpan());
            await AskAsync(command, head, shared is null ? data : default, default, default, cancellationToken);
        }
        finally
        {
            _streamTurn.Release();
        }
    }

    /// <summary>Once a connection. A server that does not know the command refuses it, and gets the bytes behind the messages.</summary>
    private async ValueTask<StreamBuffer?> ShareStreamBufferAsync(CancellationToken cancellationToken)
    {
        if (_askedForStreamBuffer || !SpeaksExtension) return _streamBuffer;
        var buffer = StreamBuffer.Create(out var file);
        try
        {
            using (file)
                await AskAsync(
                    (ushort)ExtensionCommand.ShareStreamBuffer, default, default, default, default, cancellationToken, files: [file]);
            _streamBuffer = buffer;
        }
        catch (DeviceRefusedException e) when (e.Errno == Errno.EINVAL)
        {
            ((IDisposable)buffer).Dispose(); // a server from before there was such a command
        }
        catch
        {
            ((IDisposable)buffer).Dispose();
            throw;
        }
        _askedForStreamBuffer = true;
        return _streamBuffer;
    }
}
