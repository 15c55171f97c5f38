using System.Buffers.Binary;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

public sealed class PageTransferTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task Moves_two_windows_of_random_pages(int channels)
    {
        await using var session = await LoopbackSession.StartAsync(5, 3, channels: channels);
        session.Source.FillRandom(channels);
        var pages = session.AllPages();

        await session.Sender.SendPagesAsync(pages, findHoles: true, None).WaitAsync(LoopbackSession.Hang);

        Assert.True(pages.IsEmpty);
        Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
        Assert.Equal(Crc32C.Compute(session.Source.Page(7)), session.Destination.Mapped.DigestOf(7));
        Assert.Equal(8 << 20, session.Sender.Counters.PageBytes);
        Assert.Equal(8 << 20, session.Receiver.Counters.PageBytes);
        Assert.Equal(8 << 20, session.Sender.Counters.AckedBytes);
        await session.FinishAsync();
    }

    /// <summary>The ledger is memory of the guest process: whoever shows progress may ask after it is unmapped.</summary>
    [Fact]
    public async Task What_was_counted_is_told_of_a_session_that_is_over_without_its_ledger()
    {
        await using var session = await LoopbackSession.StartAsync();
        session.Source.FillRandom(1);
        await session.SendAllAsync();
        await session.FinishAsync();

        await session.Sender.DisposeAsync();
        await session.Receiver.DisposeAsync();
        session.Source.Mapped.Ledger.Begin(7);
        session.Destination.Mapped.Ledger.Begin(7);

        Assert.Equal(8 << 20, session.Sender.Counters.PageBytes);
        Assert.Equal(8 << 20, session.Receiver.Counters.PageBytes);
    }

    [Fact]
    public void What_has_no_hole_is_one_stretch_a_window_and_a_hole_in_it_is_found()
    {
        using var ram = new TestRam(4, 4);
        ram.FillRandom(1);
        Assert.Equal((0, 1024), Next(0));
        Assert.Equal((1024, 2048), Next(1024));

        ram.Punch(600, 2);
        Assert.Equal((0, 600), Next(0));
        Assert.Equal((602, 1024), Next(600));
        Assert.Equal((1024, 2048), Next(1024));

        (long, long) Next(long page)
        {
            ram.Mapped.NextData(page, out long first, out long end);
            return (first, end);
        }
    }

    [Fact]
    public async Task Holes_are_neither_read_on_the_source_nor_touched_on_the_destination()
    {
        await using var session = await LoopbackSession.StartAsync(64, 16);
        foreach (long page in new long[] { 0, 513, 600, 9000, 16384, session.Source.Layout.PageCount - 1 })
            session.Source.Page(page).Fill((byte)page.GetHashCode());
        long before = session.Source.AllocatedBytes();

        await session.SendAllAsync();

        Assert.Equal(before, session.Source.AllocatedBytes());
        // Page 0 and 16384 are filled with zero bytes: present on the source, never needed on the destination.
        Assert.True(session.Destination.AllocatedBytes() < before);
        Assert.Equal(Crc32C.OfZeroPage, session.Source.Mapped.DigestOf(5000));
        Assert.Equal(Crc32C.OfZeroPage, session.Destination.Mapped.DigestOf(5000));
        await session.FinishAsync();
        Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
    }

    [Theory]
    [InlineData(16)]
    [InlineData(400)]
    public async Task A_hole_of_any_length_is_one_frame(int secondMiB)
    {
        long passed = 0;
        await using var session = await LoopbackSession.StartAsync(8, secondMiB, proxy: to => new FaultProxy(to, (_, _, bytes) =>
        {
            Interlocked.Add(ref passed, bytes.Length);
            return ValueTask.FromResult(bytes.Length);
        }));
        session.Source.Page(5).Fill(1);
        session.Source.Page(session.Source.Layout.PageCount - 1).Fill(2);

        await session.SendAllAsync();

        // Three hellos; zeros up to page 5, which is in its range; the rest of the first window with all but the end of the second.
        const int page = FrameHeader.SizeBytes + sizeof(uint) + 4096;
        Assert.Equal(3 * ChannelHello.SizeBytes + 2 * FrameHeader.SizeBytes + 2 * page, passed);
        await session.FinishAsync();
        Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
    }

    [Fact]
    public async Task Zeros_of_a_pass_that_was_cancelled_are_not_overtaken_by_a_page_of_the_next_one()
    {
        // A cancellation that falls into the middle of a send ends the link: then it is tried again.
        while (!await CancelsBetweenFramesAsync())
        {
        }
    }

    private static async Task<bool> CancelsBetweenFramesAsync()
    {
        // The hole is channel 1's, and the network holds it; page 600, in the middle of it, is channel 2's.
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var session = await LoopbackSession.StartAsync(proxy: to => new FaultProxy(to, async (connection, position, bytes) =>
        {
            if (connection != 1 || position < ChannelHello.SizeBytes) return bytes.Length;
            held.TrySetResult();
            await release.Task;
            return bytes.Length;
        }));
        using var cancelled = new CancellationTokenSource();
        var first = session.Sender.SendPagesAsync(session.AllPages(), findHoles: true, cancelled.Token);
        await held.Task.WaitAsync(LoopbackSession.Hang);
        await cancelled.CancelAsync();
        await FailsOrIsCancelledAsync(first);
        if (session.Sender.Failure is not null)
        {
            release.SetResult();
            return false;
        }
        session.Source.Page(600).Fill(3);

        var second = session.Sender.SendPagesAsync(
            new PageBitmap(session.Source.Layout.PageCount) { [600] = true }, findHoles: false, None);
        await Task.WhenAny(second, Task.Delay(200)); // time to overtake, if it can
        release.SetResult();
        await second.WaitAsync(LoopbackSession.Hang);

        Assert.Equal(3, session.Destination.Page(600)[100]);
        Assert.Equal(session.Source.Mapped.DigestOf(600), session.Destination.Mapped.DigestOf(600));
        return true;
    }

    private static async Task FailsOrIsCancelledAsync(Task pass)
    {
        var error = await Record.ExceptionAsync(() => pass.WaitAsync(LoopbackSession.Hang));
        Assert.True(error is OperationCanceledException or TransferFailedException, $"{error}");
    }

    [Fact]
    public async Task A_page_that_became_zero_is_cleared_on_the_destination()
    {
        await using var session = await LoopbackSession.StartAsync();
        session.Source.FillRandom(1);
        await session.SendAllAsync();
        var pages = new PageBitmap(session.Source.Layout.PageCount);
        pages.SetRange(500, 700);
        session.Source.Bytes.Slice(500 * 4096, 700 * 4096).Clear();
        long zeros = session.Sender.Counters.ZeroBytes;

        await session.Sender.SendPagesAsync(pages, findHoles: false, None);

        Assert.Equal(zeros + 700 * 4096, session.Sender.Counters.ZeroBytes);
        Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
        await session.FinishAsync();
    }

    [Fact]
    public async Task Sends_only_the_pages_of_the_pass()
    {
        await using var session = await LoopbackSession.StartAsync();
        session.Source.FillRandom(1);
        var pages = new PageBitmap(session.Source.Layout.PageCount);
        for (long page = 0; page < pages.PageCount; page += 3) pages[page] = true;
        long count = pages.Count();

        await session.Sender.SendPagesAsync(pages, findHoles: false, None);

        Assert.Equal(count * 4096, session.Receiver.Counters.PageBytes);
        for (long page = 0; page < pages.PageCount; page++)
            Assert.Equal(page % 3 == 0, session.Source.Page(page).SequenceEqual(session.Destination.Page(page)));
        await session.FinishAsync();
    }

    [Fact]
    public async Task A_guest_that_goes_on_writing_arrives_whole_once_it_is_paused()
    {
        await using var session = await LoopbackSession.StartAsync(16);
        session.Source.FillRandom(1);
        using var pause = new ManualResetEventSlim();
        var dirty = new PageBitmap(session.Source.Layout.PageCount);
        var mutator = new Thread(() => Mutate(session.Source, dirty, pause));
        mutator.Start();
        for (int iteration = 0; iteration < 3; iteration++) await session.SendAllAsync();
        pause.Set();
        mutator.Join();

        // Dirty throughout the passes; only what the pages hold after the pause counts.
        await session.Sender.SendPagesAsync(dirty, findHoles: false, None);

        Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
        await session.FinishAsync();
    }

    [Fact]
    public async Task A_slow_connection_holds_up_its_own_pages_only_and_never_lets_an_old_version_win()
    {
        // Channel 1's frames are held back while channel 2 runs free, so frames of different channels overtake each other.
        TaskCompletionSource open = new(TaskCreationOptions.RunContinuationsAsynchronously);
        open.SetResult();
        await using var session = await LoopbackSession.StartAsync(proxy: to => new FaultProxy(to, async (connection, _, bytes) =>
        {
            if (connection == 1) await Volatile.Read(ref open).Task;
            return bytes.Length;
        }));
        for (int version = 1; version <= 3; version++)
        {
            Volatile.Write(ref open, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            for (long page = 0; page < session.Source.Layout.PageCount; page++)
                BinaryPrimitives.WriteInt32LittleEndian(session.Source.Page(page), version);
            var pass = session.Sender.SendPagesAsync(session.AllPages(), findHoles: false, None);
            // Half of the pages travel on channel 2.
            while (session.Receiver.Counters.PageBytes < (2 * version - 1) * (4L << 20)) await Task.Yield();
            Assert.False(pass.IsCompleted);
            open.SetResult();
            await pass.WaitAsync(LoopbackSession.Hang);
            Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
        }
        await session.FinishAsync();
    }

    [Fact]
    public void A_zero_page_is_told_from_one_with_a_single_bit_anywhere()
    {
        var page = new byte[4096];
        Assert.True(ZeroPage.IsZero(page));
        for (int at = 0; at < page.Length; at++)
        {
            page[at] = 0x80;
            Assert.False(ZeroPage.IsZero(page));
            page[at] = 0;
        }
    }

    private static void Mutate(TestRam ram, PageBitmap dirty, ManualResetEventSlim pause)
    {
        var random = new Random(3);
        while (!pause.IsSet)
        {
            long page = random.NextInt64(ram.Layout.PageCount);
            ram.Page(page).Fill((byte)random.Next(4)); // zero pages among them
            dirty[page] = true;
        }
    }
}
