using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Transfers under a limit, while time stands still unless a test moves it: what leaves is counted in bytes on the wire.</summary>
public sealed class BandwidthTests : IDisposable
{
    private const int RamMiB = 4;
    private const long Limit = 10 << 20;

    /// <summary>What may leave before any time has passed, and then be owed.</summary>
    private const long Burst = Limit / 100;

    private static readonly CancellationToken None = CancellationToken.None;

    private readonly ManualTime _time = new();
    private readonly BandwidthShare _share;
    private long _wireBytes;

    public BandwidthTests() => _share = new BandwidthBudget(_time).Open(Limit);

    public void Dispose() => _share.Dispose();

    [Theory]
    [InlineData(TransferMode.Plain)]
    [InlineData(TransferMode.Sealed)]
    public async Task No_more_leaves_than_the_limit_lets_in_the_time_that_has_passed(TransferMode mode)
    {
        await using var session = await StartAsync(mode: mode);
        var sending = session.SendAllAsync();
        var step = TimeSpan.FromMilliseconds(5);
        for (double seconds = 0; await WaitsAsync(sending); seconds += step.TotalSeconds, _time.Advance(step))
            Assert.InRange(Interlocked.Read(ref _wireBytes), 0, Limit * seconds + 2 * Burst);
        await sending;
        Assert.True(Interlocked.Read(ref _wireBytes) > RamMiB << 20);
        _share.Limit = null;
        await session.FinishAsync().WaitAsync(LoopbackSession.Hang);
    }

    [Fact]
    public async Task A_limit_that_is_lifted_lets_those_go_who_wait()
    {
        await using var session = await StartAsync();
        var sending = session.SendAllAsync();
        Assert.True(await WaitsAsync(sending));
        _share.Limit = null;
        await sending;
    }

    [Fact]
    public async Task Stop_and_copy_does_not_wait_for_the_transfers_own_limit()
    {
        await using var session = await StartAsync();
        var sending = session.SendAllAsync();
        Assert.True(await WaitsAsync(sending));
        _share.Urgent = true;
        await sending;
    }

    [Fact]
    public async Task Device_state_is_under_the_limit_too()
    {
        await using var session = await StartAsync(devices: 1);
        byte[] chunk = new byte[DataPlaneWire.MaxDeviceChunkBytes];
        var sending = session.Sender.SendDeviceAsync(0, 0, chunk, None).AsTask();
        Assert.True(await WaitsAsync(sending));
        Assert.InRange(Interlocked.Read(ref _wireBytes), 0, 2 * Burst);
        _share.Limit = null;
        await sending.WaitAsync(LoopbackSession.Hang);
        await session.Sender.FinishDeviceAsync(0, (ulong)chunk.Length).WaitAsync(LoopbackSession.Hang);
    }

    [Fact]
    public async Task A_pass_that_waits_can_be_cancelled_and_the_next_one_goes_on()
    {
        await using var session = await StartAsync(channels: 2); // one of pages: when it waits, no other is in the middle of a frame
        using var cancel = new CancellationTokenSource();
        var pages = session.AllPages();
        var sending = session.Sender.SendPagesAsync(pages, findHoles: false, cancel.Token);
        Assert.True(await WaitsAsync(sending));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending.WaitAsync(LoopbackSession.Hang));
        _share.Limit = null;
        await session.Sender.SendPagesAsync(pages, findHoles: false, None).WaitAsync(LoopbackSession.Hang);
        Assert.True(pages.IsEmpty);
        await session.FinishAsync();
    }

    [Fact]
    public async Task The_sessions_end_ends_the_wait()
    {
        await using var session = await StartAsync(devices: 1);
        var pages = session.SendAllAsync();
        var device = session.Sender.SendDeviceAsync(0, 0, new byte[DataPlaneWire.MaxDeviceChunkBytes], None).AsTask();
        Assert.True(await WaitsAsync(pages));
        await session.Sender.DisposeAsync().AsTask().WaitAsync(LoopbackSession.Hang);
        await Assert.ThrowsAsync<TransferFailedException>(() => pages);
        await Assert.ThrowsAsync<TransferFailedException>(() => device.WaitAsync(LoopbackSession.Hang));
    }

    private async Task<LoopbackSession> StartAsync(int devices = 0, int channels = 3, TransferMode mode = TransferMode.Plain)
    {
        var session = await LoopbackSession.StartAsync(RamMiB, devices: devices, channels: channels, mode: mode, bandwidth: _share, proxy: to => new FaultProxy(to, (_, _, bytes) =>
        {
            Interlocked.Add(ref _wireBytes, bytes.Length);
            return ValueTask.FromResult(bytes.Length);
        }));
        session.Source.FillRandom(1);
        Interlocked.Exchange(ref _wireBytes, 0); // the handshakes
        return session;
    }

    /// <returns>false: it has ended; true: it waits for time to pass.</returns>
    private async Task<bool> WaitsAsync(Task sending) =>
        await Task.WhenAny(sending, _time.UntilArmedAsync(1)).WaitAsync(LoopbackSession.Hang) != sending;
}
