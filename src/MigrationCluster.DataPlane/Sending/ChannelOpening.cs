using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>Opens the connections of a link: connect, in sealed mode the prefaces, hello, welcome.</summary>
internal static class ChannelOpening
{
    /// <returns>one connection a channel, in order, and where the destination stands; on a failure none stays open.</returns>
    internal static Task<(Connection[] Connections, LinkStanding Standing)> OpenAllAsync(
        IPEndPoint destination, SessionToken token, TransferMode mode, SessionShape shape, TransferOptions options,
        CancellationToken cancellationToken) => Task.Factory.StartNew(
            () => OpenAll(destination, token, mode, shape, options, cancellationToken),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static (Connection[] Connections, LinkStanding Standing) OpenAll(
        IPEndPoint destination, SessionToken token, TransferMode mode, SessionShape shape, TransferOptions options,
        CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.HandshakeTimeout);
        var connections = new Connection[options.Channels];
        LinkStanding? standing = null;
        try
        {
            for (ushort channel = 0; channel < connections.Length; channel++)
            {
                connections[channel] = Connect(destination, token, mode, channel, limit.Token);
                // What is sealed proves that it knows the token, and never says it.
                using var stopping = limit.Token.UnsafeRegister(
                    static connection => ((Connection)connection!).ShutDown(SocketShutdown.Both), connections[channel]);
                SayHello(
                    connections[channel], destination,
                    new ChannelHello(
                        DataPlaneWire.Version, channel, (ushort)connections.Length, mode == TransferMode.Sealed ? default : token, shape,
                        standing?.Link ?? 0));
                standing ??= ReadStanding(connections[channel], destination, shape);
            }
            return (connections, standing!);
        }
        catch (Exception exception)
        {
            foreach (var connection in connections) connection?.Dispose();
            throw exception switch
            {
                _ when cancellationToken.IsCancellationRequested => new OperationCanceledException(exception.Message, exception, cancellationToken),
                _ when limit.IsCancellationRequested => new TransferFailedException(
                    TransferFailureReason.HandshakeTimedOut,
                    $"the data port {destination} did not answer within {options.HandshakeTimeout.TotalSeconds:0.#} s", exception),
                SocketException => new TransferFailedException(
                    TransferFailureReason.ConnectionLost, $"the data port {destination}: {exception.Message}", exception),
                _ => exception,
            };
        }
    }

    private static Connection Connect(
        IPEndPoint destination, SessionToken token, TransferMode mode, ushort channel, CancellationToken cancellationToken)
    {
        var socket = new Socket(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // A connect that nobody answers ends only with its socket.
            using var stopping = cancellationToken.UnsafeRegister(static socket => ((Socket)socket!).Dispose(), socket);
            SocketSetup.Apply(socket);
            socket.Connect(destination);
            return mode == TransferMode.Plain
                ? new Connection(socket)
                : ExchangePrefaces(socket, destination, token, channel);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static Connection ExchangePrefaces(Socket socket, IPEndPoint destination, SessionToken token, ushort channel)
    {
        byte[] ours = new SealedPreface(
            DataPlaneWire.Version, channel, ChannelStatus.Accepted, SessionId.Of(token),
            RandomNumberGenerator.GetBytes(SealedPreface.NonceBytes)).ToBytes();
        SocketSetup.SendAll(socket, ours);
        var theirs = new byte[SealedPreface.SizeBytes];
        if (!SocketSetup.ReceiveAll(socket, theirs)) throw Closed(destination);
        if (SealedPreface.Read(theirs, out var preface) is { } wrong) throw Stranger(destination, wrong);
        ThrowUnlessAccepted(destination, preface.Status, preface.Version, $"channel {channel}", "");
        return Connection.OfSource(socket, token, ours, theirs);
    }

    private static void SayHello(Connection connection, IPEndPoint destination, ChannelHello hello)
    {
        var bytes = new byte[ChannelHello.SizeBytes];
        hello.Write(bytes);
        connection.Send(bytes);
        var answer = bytes.AsSpan(0, ChannelWelcome.SizeBytes);
        if (!connection.Receive(answer)) throw Closed(destination);
        if (ChannelWelcome.Read(answer, out var welcome) is { } wrong) throw Stranger(destination, wrong);
        // The link's first connection was lost while this one was opened: a new link has to begin.
        if (welcome.Status == ChannelStatus.WrongChannel && hello.Channel > 0)
            throw new TransferFailedException(
                TransferFailureReason.ConnectionLost,
                $"the data port {destination}: link {hello.Link} is no more, or has channel {hello.Channel} already");
        ThrowUnlessAccepted(
            destination, welcome.Status, welcome.Version, $"channel {hello.Channel} of {hello.Channels}",
            $"its guest has not {hello.Shape.PageCount} pages and {hello.Shape.DeviceCount} device streams");
    }

    private static void ThrowUnlessAccepted(
        IPEndPoint destination, ChannelStatus status, ushort version, string channel, string shape)
    {
        if (status == ChannelStatus.Accepted) return;
        if (status == ChannelStatus.UnknownSession)
            throw new TransferFailedException(
                TransferFailureReason.SessionUnknown, $"the data port {destination} refused: it knows no such session");
        throw Refused(destination, status switch
        {
            ChannelStatus.WrongVersion => $"it speaks wire version {version}, this side {DataPlaneWire.Version}: upgrade the "
                + (version < DataPlaneWire.Version ? "destination" : "source"),
            ChannelStatus.WrongChannel => channel,
            ChannelStatus.WrongShape => shape,
            ChannelStatus.WrongMode => "one side seals this session and the other does not",
            _ => $"status {(ushort)status}",
        });
    }

    private static LinkStanding ReadStanding(Connection connection, IPEndPoint destination, SessionShape shape)
    {
        var bytes = new byte[LinkStanding.SizeBytes((int)shape.DeviceCount)];
        if (!connection.Receive(bytes)) throw Closed(destination);
        return LinkStanding.TryRead(bytes) ?? throw Refused(destination, "where it stands does not match its CRC-32C");
    }

    private static TransferFailedException Closed(IPEndPoint destination) => new(
        TransferFailureReason.ConnectionLost, $"the data port {destination} closed the connection");

    /// <summary>It may have taken the port of a daemon that is being restarted.</summary>
    private static TransferFailedException Stranger(IPEndPoint destination, string wrong) => new(
        TransferFailureReason.ConnectionLost, $"the data port {destination}: {wrong}");

    private static TransferFailedException Refused(IPEndPoint destination, string why) =>
        new(TransferFailureReason.HandshakeRefused, $"the data port {destination} refused: {why}");
}
