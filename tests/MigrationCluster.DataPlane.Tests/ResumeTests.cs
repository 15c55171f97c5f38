using System.Net;
using System.Security.Cryptography;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>A lost connection costs only what was not acknowledged.</summary>
public sealed class ResumeTests
{
    private const int RamMiB = 24;
    private const int DeviceBytes = 3 << 20;

    /// <summary>The most that is sent again because of one loss: the windows of three channels.</summary>
    private const long UnderWayBytes = 3 * (16 << 20);

    /// <summary>The most that is acknowledged twice, whatever happens.</summary>
    private const long AckedAgainBytes = 64 << 20;

    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>More with MC_RESUME_ROUNDS=500, as the long run.</summary>
    private static int Rounds => int.Parse(
        Environment.GetEnvironmentVariable("MC_RESUME_ROUNDS") ?? "20", System.Globalization.CultureInfo.InvariantCulture);

    [Fact]
    public async Task Whatever_the_network_does_to_a_running_guests_transfer_everything_arrives_and_only_what_was_under_way_is_sent_again()
    {
        var met = new int[Enum.GetValues<NetworkFault>().Length];
        for (int seed = 0; seed < Rounds; seed++) await RunAsync(seed, met);
        Assert.All(Enum.GetValues<NetworkFault>(), fault => Assert.True(met[(int)fault] > 0, $"{fault}: not once in {Rounds} runs"));
        Assert.True(met[(int)NetworkFault.Cut] + met[(int)NetworkFault.CutInFrame] > Rounds / 2, string.Join(", ", met));
    }

    /// <summary>Three passes over RAM that the guest goes on writing, beside two devices' streams, while the network fails; sealed every other time.</summary>
    private static async Task RunAsync(int seed, int[] met)
    {
        var random = new Random(seed);
        FaultyNetwork network = null!;
        await using var session = await ResumedSession.StartAsync(
            RamMiB, devices: 2, to => (network = new FaultyNetwork(to, seed)).Proxy, seed % 2 == 0 ? TransferMode.Plain : TransferMode.Sealed);
        session.Source.FillRandom(seed);
        byte[][] streams = [.. Enumerable.Range(0, 2).Select(_ => RandomBytes(random, DeviceBytes))];

        long owedPages = session.Source.Layout.PageCount;
        string agreed = "";
        using var guest = new WritingGuest(session.Source, seed);
        for (int pass = 0; pass < 3; pass++)
        {
            bool last = pass == 2;
            if (last) guest.Pause();
            // What was written since the last look is owed; what the guest writes from here on comes with the next pass.
            if (pass > 0) owedPages += guest.MoveDirtyTo(session.Source.Mapped.Ledger);
            await session.PersistAsync(async sender =>
            {
                var pages = sender.SendPagesAsync(session.Owed(), findHoles: false, None);
                await Task.WhenAll([pages, .. streams.Select((stream, device) => SendAsync(sender, device, stream, last))]);
                if (last) agreed = (await sender.FinishAsync(hashRam: true, None)).Digest;
            });
            Assert.True(session.Owed().IsEmpty);
        }

        Assert.Equal(agreed, (await session.Receiver.Completion.WaitAsync(LoopbackSession.Hang)).Digest);
        Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
        for (int device = 0; device < 2; device++) Assert.Equal(streams[device], session.Sink.StreamOf(device));
        await network.SettleAsync();
        for (int fault = 0; fault < met.Length; fault++) met[fault] += network.Met[fault];
        int losses = network.Met[(int)NetworkFault.Cut] + network.Met[(int)NetworkFault.CutInFrame] + network.Met[(int)NetworkFault.Duplicate];
        var sent = session.Sender.Counters;
        long needed = owedPages * 4096 + 2 * DeviceBytes;
        // An acknowledgement that comes when its pass has failed already is counted, and its pages stay owed: a later dirty report must
        // never be settled by it. Those are sent again, and they were under way at a cut.
        Assert.True(sent.AckedBytes - needed <= losses * UnderWayBytes, $"seed {seed}: {sent}");
        Assert.Equal(sent.PageBytes + sent.DeviceBytes - sent.ResentBytes, sent.AckedBytes);
        // What was sent again had not been acknowledged, as far as was known here: at most three windows a loss. What the destination
        // had acknowledged in vain is far less.
        Assert.True(sent.ResentBytes <= losses * UnderWayBytes, $"seed {seed}: {sent}");
        Assert.True(session.Receiver.Counters.AckedBytes - needed <= AckedAgainBytes, $"seed {seed}: {session.Receiver.Counters}, needed {needed}");
    }

    [Fact]
    public async Task To_another_incarnation_of_the_destination_everything_is_owed_again()
    {
        await using var session = await ResumedSession.StartAsync(RamMiB, devices: 0);
        session.Source.FillRandom(1);
        await session.PersistAsync(sender => sender.SendPagesAsync(session.Owed(), findHoles: false, None));
        Assert.True(session.Owed().IsEmpty);

        session.Destination.Incarnate();
        await session.Sender.DisposeAsync();
        await session.PersistAsync(_ => Task.CompletedTask);
        Assert.True(session.Owed().IsEmpty); // the link that was there says nothing of it

        await session.ReconnectAsync();

        Assert.Equal(session.Source.Layout.PageCount, session.Owed().Count());
        Assert.Equal(0, session.Sender.Counters.AckedBytes);
    }

    [Fact]
    public async Task What_an_earlier_link_still_had_under_way_is_never_taken()
    {
        // The first link's page frame is held by the network until a second link has sent a later version of that page.
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var session = await ResumedSession.StartAsync(4, devices: 0, to => new FaultProxy(to, async (number, position, bytes) =>
        {
            if (number == 1 && position >= ChannelHello.SizeBytes) await release.Task;
            return bytes.Length;
        }));
        session.Source.Page(7).Fill(1);
        var old = session.Sender;
        var pass = old.SendPagesAsync(new PageBitmap(session.Source.Layout.PageCount) { [7] = true }, false, None);
        while (old.Counters.PageBytes == 0) await Task.Yield();

        await using var later = await session.ConnectAnotherAsync();
        session.Source.Page(7).Fill(2);
        await later.SendPagesAsync(new PageBitmap(session.Source.Layout.PageCount) { [7] = true }, false, None);
        release.SetResult();

        Assert.True((await FailureTests.FailsAsync(pass)).MayResume);
        Assert.Equal(2, session.Destination.Page(7)[100]);
        Assert.Equal(session.Source.Mapped.DigestOf(7), session.Destination.Mapped.DigestOf(7));
    }

    [Fact]
    public async Task A_verdict_that_was_lost_is_given_again_and_nothing_is_changed_any_more()
    {
        await using var session = await ResumedSession.StartAsync(4, devices: 0);
        session.Source.FillRandom(1);
        await session.PersistAsync(sender => sender.SendPagesAsync(session.Owed(), false, None));
        var agreed = await session.Sender.FinishAsync(hashRam: false, None);
        await session.ReconnectAsync();

        Assert.Equal(agreed.Digest, (await session.Sender.FinishAsync(hashRam: false, None).WaitAsync(LoopbackSession.Hang)).Digest);

        await session.ReconnectAsync();
        byte before = session.Destination.Page(3)[0];
        session.Source.Page(3)[0]++;
        await FailureTests.FailsAsync(session.Sender.SendPagesAsync(
            new PageBitmap(session.Source.Layout.PageCount) { [3] = true }, false, None));
        Assert.Equal(before, session.Destination.Page(3)[0]);
    }

    [Fact]
    public async Task A_daemon_that_comes_back_when_everything_had_arrived_gives_the_verdict_and_takes_no_page()
    {
        await using var session = await ResumedSession.StartAsync(4, devices: 1);
        session.Source.FillRandom(1);
        byte[] stream = RandomBytes(new Random(2), 300_000);
        await session.Sender.SendPagesAsync(session.Owed(), false, None);
        await SendAsync(session.Sender, 0, stream, last: true);
        var agreed = await session.Sender.FinishAsync(hashRam: false, None);

        await session.RestartCompleteAsync();
        await SendAsync(session.Sender, 0, stream, last: true);
        Assert.Equal(agreed.Digest, (await session.Sender.FinishAsync(hashRam: false, None).WaitAsync(LoopbackSession.Hang)).Digest);

        await session.RestartCompleteAsync();
        byte before = session.Destination.Page(3)[0];
        session.Source.Page(3)[0]++;
        await FailureTests.FailsAsync(session.Sender.SendPagesAsync(
            new PageBitmap(session.Source.Layout.PageCount) { [3] = true }, false, None));
        Assert.Equal(before, session.Destination.Page(3)[0]);
    }

    [Fact]
    public async Task A_session_that_nobody_connects_to_again_fails_when_its_limit_has_passed()
    {
        await using var session = await LoopbackSession.StartAsync(reconnectLimit: TimeSpan.FromMilliseconds(100));

        await session.Sender.DisposeAsync();

        var failure = await FailureTests.FailsAsync(session.Receiver.Completion);
        Assert.Equal(TransferFailureReason.ConnectionLost, failure.Reason);
        Assert.Contains("no connection of the source for 0.1 s", failure.Message, StringComparison.Ordinal);
    }

    private static async Task SendAsync(TransferSender sender, int device, byte[] stream, bool last)
    {
        int end = last ? stream.Length : stream.Length / 2;
        for (int at = (int)sender.DevicePosition(device); at < end;)
        {
            int count = Math.Min(100_000, end - at);
            await sender.SendDeviceAsync(device, (ulong)at, stream.AsMemory(at, count), None);
            at += count;
        }
        if (last) await sender.EndDeviceAsync(device, (ulong)end, Crc32C.Compute(stream), None);
        else if (!sender.AreInitialBytesLoaded(device)) await sender.EndInitialBytesAsync(device, None);
    }

    private static byte[] RandomBytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }
}
