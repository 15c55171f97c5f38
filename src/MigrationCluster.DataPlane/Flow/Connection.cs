using System.Net.Sockets;
using MigrationCluster.DataPlane.Sealing;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>One connection of a session: its socket and, in sealed mode, the keys of its two directions.</summary>
internal sealed class Connection(Socket socket, RecordSealer? sealer = null, RecordOpener? opener = null) : IDisposable
{
    internal Socket Socket => socket;

    /// <summary>Null in plain mode.</summary>
    internal RecordSealer? Sealer => sealer;

    /// <summary>Null in plain mode.</summary>
    internal RecordOpener? Opener => opener;

    /// <summary>The source's end of a sealed connection, once both prefaces are there.</summary>
    internal static Connection OfSource(Socket socket, SessionToken secret, ReadOnlySpan<byte> source, ReadOnlySpan<byte> destination) => new(
        socket, new RecordSealer(TrafficSecret.Of(secret, source, destination, back: false)),
        new RecordOpener(TrafficSecret.Of(secret, source, destination, back: true)));

    /// <summary>The destination's end.</summary>
    internal static Connection OfDestination(Socket socket, SessionToken secret, ReadOnlySpan<byte> source, ReadOnlySpan<byte> destination) => new(
        socket, new RecordSealer(TrafficSecret.Of(secret, source, destination, back: true)),
        new RecordOpener(TrafficSecret.Of(secret, source, destination, back: false)));

    /// <summary>Sends one message of the handshake, a record of its own.</summary>
    internal void Send(ReadOnlySpan<byte> message)
    {
        var outgoing = new OutgoingBuffer(message.Length, sealer);
        message.CopyTo(outgoing.Frames.Span);
        SocketSetup.SendAll(socket, outgoing.Finish(message.Length).Span);
    }

    /// <summary>Receives one message of the handshake, whose length is known.</summary>
    /// <returns>false when the connection ended first.</returns>
    /// <exception cref="TransferFailedException">it does not open.</exception>
    internal bool Receive(Span<byte> message)
    {
        if (opener is null) return SocketSetup.ReceiveAll(socket, message);
        var record = new byte[message.Length + SealedRecord.OverheadBytes];
        if (!SocketSetup.ReceiveAll(socket, record)) return false;
        if (SealedRecord.ReadLength(record, out int length) is { } wrong) throw SealBroken(wrong);
        if (length != message.Length) throw SealBroken($"a record of {length} bytes where {message.Length} belong");
        if (opener.Open(record, message) is { } broken) throw SealBroken(broken);
        return true;
    }

    /// <summary>Wakes whoever waits in this socket; in the directions that are shut down nothing moves any more. Any thread; never throws.</summary>
    internal void ShutDown(SocketShutdown how)
    {
        try
        {
            socket.Shutdown(how);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Gone already.
        }
    }

    internal static TransferFailedException SealBroken(string why) => new(TransferFailureReason.SealBroken, why);

    public void Dispose()
    {
        socket.Dispose();
        sealer?.Dispose();
        opener?.Dispose();
    }
}
