using System.Net.Sockets;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Receiving;

/// <summary>Takes one frame.</summary>
/// <returns>null; or, when there is no place for it now, the signal to wait for before offering it again.</returns>
internal delegate Signal? FrameHandler(ReceiveChannel channel, in FrameHeader header, ReadOnlySpan<byte> payload);

/// <summary>The destination's end of one connection: one thread reads frames.</summary>
internal sealed class ReceiveChannel
{
    // How long an acknowledgement waits for more input: a source at full speed has the next frame here by then, and every acknowledgement
    // wakes a thread of its.
    private static readonly TimeSpan Patience = TimeSpan.FromMicroseconds(200);

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

    /// <summary>Ends when the connection has, and closes it; never throws.</summary>
    internal void Run()
    {
        using (_funnel.Stopping.UnsafeRegister(
            static connection => ((Connection)connection!).ShutDown(SocketShutdown.Receive), _connection))
        {
            try
            {
                ReadAll();
                if (!_mayEnd()) _funnel.Break(TransferFailureReason.ConnectionLost, $"the source closed connection {_number}");
            }
            catch (Exception exception)
            {
                _funnel.Break(exception, $"connection {_number}");
            }
        }
        Acks.TellWhy();
        _connection.Dispose();
    }

    private void ReadAll()
    {
        do
        {
            while (_reader.TryRead())
            {
                _funnel.Stopping.ThrowIfCancellationRequested();
                while (_handle(this, _reader.Header, _reader.Payload.Span) is { } full)
                {
                    full.Wait();
                    _funnel.Stopping.ThrowIfCancellationRequested();
                }
            }
            // No input: the moment to acknowledge what came before. Not inside a frame, whose rest is on its way whatever the source hears.
            if (!_reader.IsInsideFrame && Acks.IsPending && !_connection.Socket.Poll(Patience, SelectMode.SelectRead)) Acks.Flush();
        }
        while (_reader.Receive());
    }
}
