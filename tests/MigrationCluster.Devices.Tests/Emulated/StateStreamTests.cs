using MigrationCluster.Devices.Emulated.State;

namespace MigrationCluster.Devices.Tests.Emulated;

public class StateStreamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public void Sections_arrive_as_written_in_pieces_of_any_size(int piece)
    {
        byte[] stream = Stream(("whole", true), ("streamed", true), ("empty", false));
        var taken = new Sections();
        var reader = new StateStreamReader("net", 1, taken);
        for (int at = 0; at < stream.Length; at += piece) reader.Take(stream.AsSpan(at, Math.Min(piece, stream.Length - at)));

        Assert.True(reader.IsComplete);
        Assert.True(taken.Finished);
        Assert.Equal([1, 2, 3], taken.Whole);
        Assert.Equal([4, 5, 6, 7], taken.Streamed);
    }

    [Fact]
    public void An_unknown_optional_section_is_skipped_and_an_unknown_required_one_refused()
    {
        var taken = new Sections();
        new StateStreamReader("net", 1, taken).Take(Stream(("unknown", false), ("whole", true)));
        Assert.Equal([1, 2, 3], taken.Whole);

        var refused = Assert.Throws<StateFormatException>(() =>
            new StateStreamReader("net", 1, new Sections()).Take(Stream(("unknown", true))));
        Assert.Contains("required and unknown", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_single_flipped_bit_is_noticed()
    {
        byte[] stream = Stream(("whole", true), ("streamed", true));
        for (int bit = 0; bit < stream.Length * 8; bit++)
        {
            byte[] copy = [.. stream];
            copy[bit / 8] ^= (byte)(1 << (bit % 8));
            var reader = new StateStreamReader("net", 1, new Sections());
            try
            {
                reader.Take(copy);
            }
            catch (StateFormatException)
            {
                continue;
            }
            // A length that grew leaves the reader waiting for more; a reserved or end-header bit may not matter.
            Assert.True(!reader.IsComplete || IsUncovered(bit / 8, stream.Length), $"bit {bit} went unnoticed");
        }
    }

    [Fact]
    public void Every_truncation_is_incomplete_and_nothing_may_follow_the_end()
    {
        byte[] stream = Stream(("whole", true));
        for (int length = 0; length < stream.Length; length++)
        {
            var reader = new StateStreamReader("net", 1, new Sections());
            reader.Take(stream.AsSpan(0, length));
            Assert.False(reader.IsComplete);
        }
        Assert.Throws<StateFormatException>(() =>
            new StateStreamReader("net", 1, new Sections()).Take([.. stream, 0]));
    }

    [Fact]
    public void Another_model_and_another_format_version_are_refused_by_name()
    {
        byte[] stream = Stream(("whole", true));
        Assert.Contains("'net'", Assert.Throws<StateFormatException>(() =>
            new StateStreamReader("gpu", 1, new Sections()).Take(stream)).Message, StringComparison.Ordinal);
        Assert.Contains("net/1", Assert.Throws<StateFormatException>(() =>
            new StateStreamReader("net", 2, new Sections()).Take(stream)).Message, StringComparison.Ordinal);
    }

    // The end section's header is outside its own check: flags and version there carry nothing.
    private static bool IsUncovered(int at, int length) => at == length - 10 || at == length - 9;

    private static unsafe byte[] Stream(params (string Kind, bool Required)[] sections)
    {
        var writer = new StateStreamWriter("net", 1);
        byte[] buffer = new byte[4096];
        int length = writer.Read(buffer);
        byte* memory = stackalloc byte[] { 6, 7 };
        foreach (var (kind, required) in sections)
        {
            switch (kind)
            {
                case "whole": writer.Add(1, 1, required, [1, 2, 3]); break;
                case "streamed": writer.Add(2, 1, required, [4, 5], memory, 2); break;
                case "empty": writer.Add(3, 1, required, []); break;
                default: writer.Add(99, 1, required, [9, 9, 9, 9, 9]); break;
            }
            length += writer.Read(buffer.AsSpan(length));
        }
        writer.End();
        length += writer.Read(buffer.AsSpan(length));
        return buffer[..length];
    }

    private sealed class Sections : IStateSections
    {
        public List<byte> Whole { get; } = [];
        public List<byte> Streamed { get; } = [];
        public bool Finished { get; private set; }

        public SectionUse Begin(SectionHeader header) => header.Id switch
        {
            1 or 3 => SectionUse.Whole,
            2 => SectionUse.Streamed,
            _ => SectionUse.Unknown,
        };

        public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data) => Whole.AddRange(data);

        public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece)
        {
            Assert.Equal((uint)Streamed.Count, offset);
            Streamed.AddRange(piece);
        }

        public void Finish() => Finished = true;
    }
}
