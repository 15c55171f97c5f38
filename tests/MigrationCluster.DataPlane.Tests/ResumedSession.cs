using System.Net;
using System.Security.Cryptography;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>A session whose source connects again for as long as it takes, as the daemon does.</summary>
internal sealed class ResumedSession : IAsyncDisposable
{
    private readonly DataPlaneListener _listener = DataPlaneListener.Start(
        new IPEndPoint(IPAddress.Loopback, 0), TransferOptions.Default);

    private readonly SessionToken _token = new(RandomNumberGenerator.GetBytes(SessionToken.SizeBytes));
    private readonly int _devices;
    private readonly TransferMode _mode;
    private readonly FaultProxy? _proxy;

    private ResumedSession(int ramMiB, int devices, TransferMode mode, Func<IPEndPoint, FaultProxy>? proxy)
    {
        (_devices, _mode) = (devices, mode);
        (Source, Destination) = (new TestRam(ramMiB), new TestRam(ramMiB));
        Receiver = _listener.Open(_token, mode, Destination.Mapped, Sink, devices);
        _proxy = proxy?.Invoke(_listener.EndPoint);
    }

    internal TestRam Source { get; }
    internal TestRam Destination { get; }
    internal MemorySink Sink { get; } = new();
    internal TransferReceiver Receiver { get; private set; }
    internal TransferSender Sender { get; private set; } = null!;

    internal static async Task<ResumedSession> StartAsync(
        int ramMiB, int devices, Func<IPEndPoint, FaultProxy>? proxy = null, TransferMode mode = TransferMode.Plain)
    {
        var session = new ResumedSession(ramMiB, devices, mode, proxy);
        while (session.Sender is null)
        {
            try
            {
                await session.ReconnectAsync();
            }
            catch (TransferFailedException failure) when (failure.MayResume)
            {
            }
        }
        return session;
    }

    internal Task<TransferSender> ConnectAnotherAsync() => TransferSender.ConnectAsync(
        _proxy?.EndPoint ?? _listener.EndPoint, _token, _mode, Source.Mapped, _devices, TransferOptions.Default, CancellationToken.None);

    /// <summary>Opens a link; to a destination that is new, everything is owed.</summary>
    internal async Task ReconnectAsync()
    {
        if (Sender is not null) await Sender.DisposeAsync();
        Sender = await ConnectAnotherAsync();
        if (Source.Mapped.Ledger.Counted != Sender.Incarnation) Source.Mapped.Ledger.Begin(Sender.Incarnation);
    }

    /// <summary>The destination's daemon comes back, having journaled that everything had arrived.</summary>
    internal async Task RestartCompleteAsync()
    {
        await Sender.DisposeAsync();
        await Receiver.DisposeAsync();
        Receiver = _listener.Open(_token, _mode, Destination.Mapped, Sink, _devices, complete: true);
        await ReconnectAsync();
    }

    /// <summary>Does it, over as many links as it takes.</summary>
    internal async Task PersistAsync(Func<TransferSender, Task> work)
    {
        for (bool connected = true; ;)
        {
            try
            {
                if (!connected) await ReconnectAsync();
                connected = true;
                await work(Sender).WaitAsync(LoopbackSession.Hang);
                return;
            }
            catch (TransferFailedException failure) when (failure.MayResume)
            {
                connected = false;
            }
        }
    }

    internal PageBitmap Owed()
    {
        var pages = new PageBitmap(Source.Layout.PageCount);
        Source.Mapped.Ledger.AddTo(pages);
        return pages;
    }

    public async ValueTask DisposeAsync()
    {
        await Sender.DisposeAsync();
        await Receiver.DisposeAsync();
        await _listener.DisposeAsync();
        if (_proxy is not null) await _proxy.DisposeAsync();
        Source.Dispose();
        Destination.Dispose();
    }
}
