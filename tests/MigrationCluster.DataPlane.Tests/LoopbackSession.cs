using System.Net;
using System.Security.Cryptography;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Source RAM, destination RAM, a listener, and a session between them, through a proxy if one is wanted.</summary>
internal sealed class LoopbackSession : IAsyncDisposable
{
    internal static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Far above what anything here needs: a test that meets it hangs.</summary>
    internal static readonly TimeSpan Hang = TimeSpan.FromSeconds(60);

    /// <summary>No handshake here is to fail because the machine is busy.</summary>
    private static readonly TransferOptions Patient = TransferOptions.Default with { HandshakeTimeout = Hang };

    private LoopbackSession(
        TestRam source, TestRam destination, IDeviceStateSink sink, int devices, TransferMode mode, TimeSpan reconnectLimit)
    {
        (Source, Destination) = (source, destination);
        Sink = sink as MemorySink ?? new MemorySink();
        Listener = DataPlaneListener.Start(
            new IPEndPoint(IPAddress.Loopback, 0), Patient with { ReconnectLimit = reconnectLimit }, Dropped.Add);
        Token = new SessionToken(RandomNumberGenerator.GetBytes(32));
        Receiver = Listener.Open(Token, mode, destination.Mapped, sink, devices);
    }

    internal TestRam Source { get; }
    internal TestRam Destination { get; }
    internal MemorySink Sink { get; }
    internal DataPlaneListener Listener { get; }
    internal SessionToken Token { get; }
    internal TransferReceiver Receiver { get; }
    internal TransferSender Sender { get; private set; } = null!;
    internal System.Collections.Concurrent.ConcurrentBag<DroppedConnection> Dropped { get; } = [];

    internal static async Task<LoopbackSession> StartAsync(
        int firstMiB = 8, int secondMiB = 0, int devices = 0, int channels = 3, IDeviceStateSink? sink = null,
        Func<IPEndPoint, FaultProxy>? proxy = null, TimeSpan reconnectLimit = default, TransferMode mode = TransferMode.Plain,
        BandwidthShare? bandwidth = null)
    {
        var session = new LoopbackSession(
            new TestRam(firstMiB, secondMiB), new TestRam(firstMiB, secondMiB), sink ?? new MemorySink(), devices, mode,
            reconnectLimit);
        session.Proxy = proxy?.Invoke(session.Listener.EndPoint);
        session.Sender = await TransferSender.ConnectAsync(
            session.Proxy?.EndPoint ?? session.Listener.EndPoint, session.Token, mode, session.Source.Mapped, devices,
            Patient with { Channels = channels, Bandwidth = bandwidth }, None);
        return session;
    }

    internal FaultProxy? Proxy { get; private set; }

    internal PageBitmap AllPages()
    {
        var pages = new PageBitmap(Source.Layout.PageCount);
        pages.SetAll();
        return pages;
    }

    internal Task SendAllAsync(bool findHoles = true) => Sender.SendPagesAsync(AllPages(), findHoles, None).WaitAsync(Hang);

    /// <summary>Finishes, and checks that both sides agree.</summary>
    internal async Task FinishAsync()
    {
        var sent = await Sender.FinishAsync(hashRam: false, None).WaitAsync(Hang);
        var received = await Receiver.Completion.WaitAsync(Hang);
        Assert.Equal(sent.Digest, received.Digest);
    }

    public async ValueTask DisposeAsync()
    {
        await Sender.DisposeAsync().AsTask().WaitAsync(Hang);
        await Receiver.DisposeAsync().AsTask().WaitAsync(Hang);
        await Listener.DisposeAsync().AsTask().WaitAsync(Hang);
        if (Proxy is not null) await Proxy.DisposeAsync();
        Source.Dispose();
        Destination.Dispose();
    }
}
