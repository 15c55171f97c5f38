using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>All of RAM compared at the end: what lies there, not what was sent and written.</summary>
public sealed class FullVerifyTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task A_byte_of_the_destinations_ram_that_changed_after_it_had_arrived_is_found_and_nobody_agrees()
    {
        await using var session = await LoopbackSession.StartAsync(firstMiB: 3, secondMiB: 5);
        session.Source.FillRandom(1);
        await session.SendAllAsync();
        session.Destination.Page(1900)[4095] ^= 1;

        var failure = await FailureTests.FailsAsync(session.Sender.FinishAsync(hashRam: true, None));

        Assert.Equal("transfer.ram-disagrees", failure.Code);
        Assert.Equal(TransferFailureReason.RamDisagrees, (await FailureTests.FailsAsync(session.Receiver.Completion)).Reason);
    }

    [Fact]
    public async Task The_digest_of_what_was_sent_alone_does_not_find_it()
    {
        await using var session = await LoopbackSession.StartAsync();
        session.Source.FillRandom(1);
        await session.SendAllAsync();
        session.Destination.Page(17)[0] ^= 1;

        await session.FinishAsync();
    }

    [Theory]
    [InlineData(TransferMode.Plain)]
    [InlineData(TransferMode.Sealed)]
    public async Task Holes_are_zeros_on_whichever_side_and_are_not_filled_by_hashing_them(TransferMode mode)
    {
        // The second window begins in the middle of a range of 2 MiB; a range is a hole, another only in part.
        await using var session = await LoopbackSession.StartAsync(firstMiB: 7, secondMiB: 6, mode: mode);
        var random = new Random(1);
        random.NextBytes(session.Source.Bytes[..(300 * 4096)]);
        random.NextBytes(session.Source.Bytes.Slice(1700 * 4096, 200 * 4096));
        session.Source.Page(1000).Clear(); // present, and zeros
        session.Destination.Page(2500).Clear();
        await session.SendAllAsync();
        long source = session.Source.AllocatedBytes(), destination = session.Destination.AllocatedBytes();

        var agreed = await session.Sender.FinishAsync(hashRam: true, None).WaitAsync(LoopbackSession.Hang);

        Assert.Equal(agreed.Digest, (await session.Receiver.Completion.WaitAsync(LoopbackSession.Hang)).Digest);
        Assert.Equal(TransferManifest.DigestBytes, agreed.RamHash.Length);
        Assert.Equal(source, session.Source.AllocatedBytes());
        Assert.Equal(destination, session.Destination.AllocatedBytes());
        byte[] before = RamHash.Of(session.Source.Mapped);
        session.Source.Page(600)[9] = 1; // of a hole
        Assert.NotEqual(before, RamHash.Of(session.Source.Mapped));
    }
}
