using System.Text;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Protocol.Tests.Integrity;

public sealed class Crc32CTests
{
    [Fact]
    public void Agrees_with_the_vectors_of_RFC_3720()
    {
        Assert.Equal(0xE3069283u, Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")));
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Compute(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
        Assert.Equal(0u, Crc32C.Compute([]));
    }

    [Fact]
    public void Agrees_with_the_polynomial_bit_by_bit_at_every_length_around_the_blocks()
    {
        var data = new byte[9000];
        new Random(1).NextBytes(data);
        foreach (int length in new[] { 1, 7, 8, 9, 1360, 4079, 4080, 4081, 4096, 8159, 8160, 8161, 8999 })
            Assert.Equal(BitByBit(data.AsSpan(1, length)), Crc32C.Compute(data.AsSpan(1, length)));
    }

    [Fact]
    public void Appending_and_combining_pieces_equals_one_computation_over_the_whole()
    {
        var random = new Random(2);
        var data = new byte[20000];
        random.NextBytes(data);
        uint whole = Crc32C.Compute(data);
        for (int round = 0; round < 200; round++)
        {
            int cut = random.Next(data.Length + 1);
            uint first = Crc32C.Compute(data.AsSpan(0, cut));
            Assert.Equal(whole, Crc32C.Append(first, data.AsSpan(cut)));
            Assert.Equal(whole, Crc32C.Combine(first, Crc32C.Compute(data.AsSpan(cut)), (ulong)(data.Length - cut)));
        }
    }

    [Fact]
    public void Folding_chains_and_copying_agree_at_any_length_and_alignment()
    {
        var random = new Random(3);
        var data = new byte[20000];
        random.NextBytes(data);
        for (int round = 0; round < 2000; round++)
        {
            int length = round < 1000 ? round : random.Next(data.Length - 64);
            var piece = data.AsSpan(random.Next(64), length);
            uint start = (uint)random.Next();
            uint chains = Crc32C.AppendInChains(start, piece);
            Assert.Equal(chains, Crc32C.Append(start, piece));
            if (FoldedCrc32C.IsSupported && length - length % FoldedCrc32C.StepBytes is var folded and > 0)
                Assert.Equal(Crc32C.AppendInChains(start, piece[..folded]), ~FoldedCrc32C.Fold(~start, piece[..folded]));
            var copy = new byte[length + 2];
            Assert.Equal(Crc32C.AppendInChains(0, piece), Crc32C.Copy(piece, copy.AsSpan(1, length)));
            Assert.Equal(Crc32C.AppendInChains(7, piece), Crc32C.AppendCopy(7, piece, copy.AsSpan(1, length)));
            Assert.True(piece.SequenceEqual(copy.AsSpan(1, length)));
            Assert.Equal((0, 0), (copy[0], copy[^1]));
        }
    }

    [Fact]
    public void A_copy_has_the_length_of_its_source() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Crc32C.Copy(new byte[512], new byte[513]));

    [Fact]
    public void Knows_the_zero_page() => Assert.Equal(BitByBit(new byte[4096]), Crc32C.OfZeroPage);

    private static uint BitByBit(ReadOnlySpan<byte> data)
    {
        uint state = ~0u;
        foreach (byte value in data)
        {
            state ^= value;
            for (int bit = 0; bit < 8; bit++) state = (state & 1) != 0 ? state >> 1 ^ 0x82F63B78 : state >> 1;
        }
        return ~state;
    }
}
