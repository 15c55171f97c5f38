using System.Runtime.InteropServices;
using MigrationCluster.DataPlane.Memory;

namespace MigrationCluster.DataPlane.Tests;

public sealed unsafe class GuestPagesTests
{
    [Fact]
    public void Copies_the_same_past_the_cache_and_where_it_cannot()
    {
        var random = new Random(1);
        byte* memory = (byte*)NativeMemory.AlignedAlloc(3 * 4096, 4096);
        try
        {
            foreach (var (offset, length) in new[] { (0, 4096), (4096, 8192), (64, 128), (1, 4096), (0, 100), (7, 1) })
            {
                var all = new Span<byte>(memory, 3 * 4096);
                all.Fill(0xEE);
                var source = new byte[length];
                random.NextBytes(source);
                GuestPages.CopyPastTheCache(source, all.Slice(offset, length));
                Assert.True(all.Slice(offset, length).SequenceEqual(source));
                Assert.False(all[..offset].ContainsAnyExcept((byte)0xEE));
                Assert.False(all[(offset + length)..].ContainsAnyExcept((byte)0xEE));
            }
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    [Fact]
    public void Making_pages_present_changes_nothing_in_them()
    {
        using var ram = new TestRam(1);
        ram.FillRandom(1);
        var before = ram.Mapped.Pages(0, 4).ToArray();
        GuestPages.MakePresent(ram.Mapped.Pages(0, 4));
        Assert.True(ram.Mapped.Pages(0, 4).SequenceEqual(before));
    }

    [Fact]
    public void A_page_is_zero_only_if_every_byte_of_it_is_wherever_it_lies()
    {
        var memory = new byte[2 * 4096];
        for (int offset = 0; offset < 64; offset += 7)
            for (int at = -1; at < 4096; at += 61)
            {
                memory.AsSpan().Clear();
                if (at >= 0) memory[offset + at] = 0x80;
                if (offset > 0) memory[offset - 1] = 1;
                memory[offset + 4096] = 1;
                Assert.Equal(at < 0, ZeroPage.IsZero(memory.AsSpan(offset, 4096)));
            }
    }
}
