using System.Net;
using System.Net.Sockets;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>Opens the connections of a session: connect, hello, welcome.</summary>
internal static class ChannelOpening
{
    /// <returns>one socket a channel, in order; on a failure none stays open.</returns>
    internal static async Task<Socket[]> OpenAllAsync(
        IPEndPoint destination, SessionToken token, SessionShape shape, TransferOptions options,
        CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.HandshakeTimeout);
        var sockets = new Socket[options.Channels];
        try
        {
            for (int channel = 0; channel < sockets.Length; channel++)
            {
                sockets[channel] = new Socket(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                await OpenAsync(sockets[channel], destination, token, shape, channel, sockets.Length, limit.Token);
            }
            return sockets;
        }
        catch (Exception exception)
        {
            foreach (var socket in sockets) socket?.Dispose();
            throw exception switch
            {
                OperationCanceledException when !cancellationToken.IsCancellationRequested => new TransferFailedException(
                    TransferFailureReason.HandshakeTimedOut,
                    $"the data port {destination} did not answer within {options.HandshakeTimeout.TotalSeconds:0.#} s", exception),
                SocketException => new TransferFailedException(
                    TransferFailureReason.ConnectionLost, $"the data port {destination}: {exception.Message}", exception),
                _ => exception,
            };
        }
    }

    private static async Task OpenAsync(
        Socket socket, IPEndPoint destination, SessionToken token, SessionShape shape, int channel, int channels,
        CancellationToken cancellationToken)
    {
        SocketSetup.Apply(socket);
        await socket.ConnectAsync(destination, cancellationToken);
        var bytes = new byte[ChannelHello.SizeBytes];
        new ChannelHello(DataPlaneWire.Version, (ushort)channel, (ushort)channels, token, shape).Write(bytes);
        await SocketSetup.SendAllAsync(socket, bytes, cancellationToken);
        var answer = bytes.AsMemory(0, ChannelWelcome.SizeBytes);
        if (!await SocketSetup.ReceiveAllAsync(socket, answer, cancellationToken))
            throw Refused(destination, "it closed the connection");
        if (ChannelWelcome.Read(answer.Span, out var welcome) is { } wrong) throw Refused(destination, wrong);
        if (welcome.Status == ChannelStatus.Accepted) return;
        throw Refused(destination, welcome.Status switch
        {
            ChannelStatus.UnknownSession => "it knows no such session",
            ChannelStatus.WrongVersion => $"it speaks wire version {welcome.Version}, this side {DataPlaneWire.Version}: upgrade the "
                + (welcome.Version < DataPlaneWire.Version ? "destination" : "source"),
            ChannelStatus.WrongChannel => $"the session has channel {channel} already, or not {channels} channels",
            ChannelStatus.WrongShape => $"its guest has not {shape.PageCount} pages and {shape.DeviceCount} device streams",
            _ => $"status {(ushort)welcome.Status}",
        });
    }

    private static TransferFailedException Refused(IPEndPoint destination, string why) =>
        new(TransferFailureReason.HandshakeRefused, $"the data port {destination} refused: {why}");
}
