using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Receiving;

/// <summary>Takes one frame.</summary>
/// <returns>null; or, when there is no place for it now, the signal to wait for before offering it again.</returns>
internal delegate AsyncSignal? FrameHandler(ReceiveChannel channel, in FrameHeader header, ReadOnlySpan<byte> payload);

/// <summary>The destination's end of one connection: one loop reads frames, one writes acknowledgements.</summary>
internal sealed class ReceiveChannel
{
    private readonly int _number;
    private readonly Connection _connection;
    private readonly BreakFunnel _funnel;
    private readonly FrameReader _reader;
    private readonly FrameHandler _handle;
    private readonly Func<bool> _mayEnd;

    /// <param name="handle">gets every frame, in order.</param>
    /// <param name="mayEnd">whether the source may close now.</param>
    internal ReceiveChannel(
        int number, Connection connection, SessionShape shape, BreakFunnel funnel, TransferMeter meter,
        FrameHandler handle, Func<bool> mayEnd)
    {
        (_number, _connection, _funnel, _handle, _mayEnd) = (number, connection, funnel, handle, mayEnd);
        Acks = new AckWriter(connection, funnel, meter);
        bool devices = number == 0;
        _reader = new FrameReader(
            connection, shape, devices ? FrameRoute.DeviceChannel : FrameRoute.PageChannel,
            FrameReader.NewBuffer(devices ? sizeof(uint) + DataPlaneWire.MaxDeviceChunkBytes : DataPlaneWire.MaxPayloadBytes),
            meter);
    }

    internal AckWriter Acks { get; }

    /// <summary>Ends when the connection has, and closes it; never faults.</summary>
    internal async Task RunAsync()
    {
        await Task.Yield(); // whoever starts it may hold a lock
        var writing = Acks.RunAsync();
        try
        {
            int received;
            do
            {
                while (_reader.TryRead())
                    while (_handle(this, _reader.Header, _reader.Payload.Span) is { } full) await full.WaitAsync(_funnel.Stopping);
                var receiving = _reader.ReceiveAsync(_funnel.Stopping);
                // No input: the moment to acknowledge what came before. Not inside a frame, whose rest is on its way whatever the source
                // hears: a channel at full speed waits several times a frame, and each acknowledgement wakes three threads.
                if (!receiving.IsCompleted && !_reader.IsInsideFrame) Acks.Flush();
                received = await receiving;
            }
            while (_reader.Received(received));
            if (!_mayEnd()) _funnel.Break(TransferFailureReason.ConnectionLost, $"the source closed connection {_number}");
        }
        catch (Exception exception)
        {
            _funnel.Break(exception, $"connection {_number}");
        }
        Acks.Close();
        await writing;
        _connection.Dispose();
    }
}
