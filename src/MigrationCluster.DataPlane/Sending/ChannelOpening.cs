using System.Net;
using System.Net.Sockets;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>Opens the connections of a link: connect, hello, welcome.</summary>
internal static class ChannelOpening
{
    /// <returns>one socket a channel, in order, and where the destination stands; on a failure none stays open.</returns>
    internal static async Task<(Socket[] Sockets, LinkStanding Standing)> OpenAllAsync(
        IPEndPoint destination, SessionToken token, SessionShape shape, TransferOptions options,
        CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.HandshakeTimeout);
        var sockets = new Socket[options.Channels];
        LinkStanding? standing = null;
        try
        {
            for (int channel = 0; channel < sockets.Length; channel++)
            {
                sockets[channel] = new Socket(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                await OpenAsync(
                    sockets[channel], destination,
                    new ChannelHello(
                        DataPlaneWire.Version, (ushort)channel, (ushort)sockets.Length, token, shape, standing?.Link ?? 0),
                    limit.Token);
                standing ??= await ReadStandingAsync(sockets[channel], destination, shape, limit.Token);
            }
            return (sockets, standing!);
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
        Socket socket, IPEndPoint destination, ChannelHello hello, CancellationToken cancellationToken)
    {
        SocketSetup.Apply(socket);
        await socket.ConnectAsync(destination, cancellationToken);
        var bytes = new byte[ChannelHello.SizeBytes];
        hello.Write(bytes);
        await SocketSetup.SendAllAsync(socket, bytes, cancellationToken);
        var answer = bytes.AsMemory(0, ChannelWelcome.SizeBytes);
        if (!await SocketSetup.ReceiveAllAsync(socket, answer, cancellationToken))
            throw Closed(destination);
        // A stranger may have taken the port of a daemon that is being restarted.
        if (ChannelWelcome.Read(answer.Span, out var welcome) is { } wrong)
            throw new TransferFailedException(TransferFailureReason.ConnectionLost, $"the data port {destination}: {wrong}");
        if (welcome.Status == ChannelStatus.Accepted) return;
        if (welcome.Status == ChannelStatus.UnknownSession)
            throw new TransferFailedException(
                TransferFailureReason.SessionUnknown, $"the data port {destination} refused: it knows no such session");
        throw Refused(destination, welcome.Status switch
        {
            ChannelStatus.WrongVersion => $"it speaks wire version {welcome.Version}, this side {DataPlaneWire.Version}: upgrade the "
                + (welcome.Version < DataPlaneWire.Version ? "destination" : "source"),
            ChannelStatus.WrongChannel => $"link {hello.Link} is no more, has channel {hello.Channel} already, or not {hello.Channels} channels",
            ChannelStatus.WrongShape => $"its guest has not {hello.Shape.PageCount} pages and {hello.Shape.DeviceCount} device streams",
            _ => $"status {(ushort)welcome.Status}",
        });
    }

    private static async Task<LinkStanding> ReadStandingAsync(
        Socket socket, IPEndPoint destination, SessionShape shape, CancellationToken cancellationToken)
    {
        var bytes = new byte[LinkStanding.SizeBytes((int)shape.DeviceCount)];
        if (!await SocketSetup.ReceiveAllAsync(socket, bytes, cancellationToken)) throw Closed(destination);
        return LinkStanding.TryRead(bytes) ?? throw Refused(destination, "where it stands does not match its CRC-32C");
    }

    private static TransferFailedException Closed(IPEndPoint destination) => new(
        TransferFailureReason.ConnectionLost, $"the data port {destination} closed the connection");

    private static TransferFailedException Refused(IPEndPoint destination, string why) =>
        new(TransferFailureReason.HandshakeRefused, $"the data port {destination} refused: {why}");
}
