using System.Security.Cryptography;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Sealing;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>
/// Somebody on the way has two sealed channels of each of two sessions, in both directions, and changes one: mutated, truncated, replayed,
/// reordered, spliced. What is taken of it is never more than what was sent before the first change, and the reason has a name.
/// </summary>
[Collection(nameof(Alone))]
public sealed class HostileRecordTests
{
    private const int Pages = 2048;
    private const int RecordCount = 5;
    private static readonly SessionShape Shape = new(Pages, 0);

    [Fact]
    public void Nothing_is_taken_of_sealed_streams_that_were_changed_beyond_what_was_sent_before_the_change()
    {
        using var ram = new TestRam(1);
        var meter = new TransferMeter(ram.Mapped.Ledger);
        byte[] buffer = FrameReader.NewBuffer(DataPlaneWire.MaxPayloadBytes);
        var random = new Random(21);
        var streams = new Stream[8];
        var named = new int[Attacks.Length];
        long before = 0;
        for (int round = 0; round < Tampering.Rounds; round++)
        {
            if (round == 1000) before = GC.GetTotalAllocatedBytes(precise: true);
            if (round % 100 == 0) Renew(streams, random);
            var victim = streams[random.Next(streams.Length)];
            int attack = round % Attacks.Length;
            var records = new List<byte[]>(victim.Records);
            int intact = Attacks[attack](records, streams, victim, random);

            using var opener = new RecordOpener(victim.Secret);
            var reader = new FrameReader(new Connection(null!, opener: opener), Shape, FrameRoute.PageChannel, buffer, meter);
            int taken = 0;
            try
            {
                Feed(reader, [.. records.SelectMany(record => record)], header =>
                {
                    // What is taken is exactly what was sent, in order.
                    Assert.True(taken < RecordCount);
                    Assert.Equal(victim.Sent[taken], header.First);
                    taken++;
                });
            }
            catch (TransferFailedException failure)
            {
                Assert.True(failure.Reason is TransferFailureReason.SealBroken or TransferFailureReason.ConnectionLost, failure.Message);
                named[attack]++;
            }
            Assert.Equal(intact, taken);
        }

        // Cut between two records a stream just ends; the session misses its manifest then. Everything else is refused by name.
        Assert.All(named[..^1], count => Assert.Equal(Tampering.Rounds / Attacks.Length, count));
        Assert.Equal(0, named[^1]);
        Assert.True((GC.GetTotalAllocatedBytes(precise: true) - before) / Math.Max(Tampering.Rounds - 1000, 1) < 32 * 1024);
    }

    private delegate int Attack(List<byte[]> records, Stream[] all, Stream victim, Random random);

    /// <summary>Each returns how many records are still as they were sent before the first that is not.</summary>
    private static readonly Attack[] Attacks =
    [
        // Not the length: it may say that more is to come, and then the stream ends too early.
        (records, _, _, random) => Tampering.Mutate(records, random, from: SealedRecord.LengthBytes),
        (records, _, _, random) => Tampering.Truncate(records, random),
        (records, _, _, random) => Tampering.LeaveOut(records, random),
        (records, _, _, random) => Tampering.Repeat(records, random),
        (records, _, _, random) => Tampering.Swap(records, random),
        Splice,
        Insert,
        (records, _, _, random) => Tampering.CutBetween(records, random),
    ];

    /// <summary>A record of another channel, direction or session, with the very same number and length.</summary>
    private static int Splice(List<byte[]> records, Stream[] all, Stream victim, Random random)
    {
        int at = random.Next(RecordCount);
        records[at] = Other(all, victim, random).Records[at];
        return at;
    }

    private static int Insert(List<byte[]> records, Stream[] all, Stream victim, Random random)
    {
        int at = random.Next(RecordCount + 1);
        records.Insert(at, Other(all, victim, random).Records[Math.Min(at, RecordCount - 1)]);
        return at;
    }

    private static Stream Other(Stream[] all, Stream victim, Random random)
    {
        while (true)
            if (all[random.Next(all.Length)] is var other && other != victim) return other;
    }

    private static void Renew(Stream[] streams, Random random)
    {
        for (int i = 0; i < streams.Length; i++) // two sessions, two channels, two directions
            streams[i] = new Stream(
                new SessionToken(Enumerable.Repeat((byte)(1 + i / 4), SessionToken.SizeBytes).ToArray()), (ushort)(i / 2 % 2), i % 2 == 1, random);
    }

    private static void Feed(FrameReader reader, ReadOnlySpan<byte> stream, Action<FrameHeader> taken)
    {
        while (true)
        {
            while (reader.TryRead()) taken(reader.Header);
            var room = reader.Room().Span;
            int count = Math.Min(room.Length, stream.Length);
            stream[..count].CopyTo(room);
            stream = stream[count..];
            if (!reader.Received(count)) return;
        }
    }

    /// <summary>Frames of one direction of one connection, each in a record.</summary>
    private sealed class Stream
    {
        internal Stream(SessionToken token, ushort channel, bool back, Random random)
        {
            byte[] Preface() => new SealedPreface(
                DataPlaneWire.Version, channel, ChannelStatus.Accepted, SessionId.Of(token),
                RandomNumberGenerator.GetBytes(SealedPreface.NonceBytes)).ToBytes();
            Secret = TrafficSecret.Of(token, Preface(), Preface(), back);
            using var sealer = new RecordSealer(Secret);
            for (int i = 0; i < RecordCount; i++)
            {
                var outgoing = new OutgoingBuffer(FrameHeader.SizeBytes, sealer);
                Sent[i] = (ulong)random.Next(Pages);
                new FrameHeader(FrameKind.ZeroRun, 0, (ulong)i + 1, Sent[i], 1).Write(outgoing.Frames.Span);
                Records[i] = outgoing.Finish(FrameHeader.SizeBytes).ToArray();
            }
        }

        internal TrafficSecret Secret { get; }

        internal ulong[] Sent { get; } = new ulong[RecordCount];

        internal byte[][] Records { get; } = new byte[RecordCount][];
    }
}
