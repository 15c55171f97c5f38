using FsCheck;
using FsCheck.Fluent;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Protocol.Tests.Memory;

public sealed class PageBitmapTests
{
    [Fact]
    public void Runs_cover_exactly_the_set_pages() => Prop.ForAll<ushort, int[]>((size, picks) =>
    {
        var bitmap = new PageBitmap(size + 1);
        foreach (int pick in picks) bitmap[(uint)pick % bitmap.PageCount] = true;
        var covered = new PageBitmap(bitmap.PageCount);
        for (long at = 0; bitmap.TryNextRun(at, 7, out long first, out long count); at = first + count)
        {
            Assert.InRange(count, 1, 7);
            covered.SetRange(first, count);
        }
        Assert.True(bitmap.Words.SequenceEqual(covered.Words));
        Assert.Equal(bitmap.IsEmpty, bitmap.Count() == 0);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_range_that_is_cleared_takes_exactly_its_pages() => Prop.ForAll<byte, byte, byte>((from, length, beyond) =>
    {
        var bitmap = new PageBitmap(from + length + beyond + 1);
        bitmap.SetAll();
        PageBitmap.ClearRange(bitmap.Words, from, length + 1);
        for (long page = 0; page < bitmap.PageCount; page++) Assert.Equal(page < from || page > from + length, bitmap[page]);
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(65)]
    public void SetAll_sets_no_bit_beyond_the_last_page(long pages)
    {
        var bitmap = new PageBitmap(pages);
        bitmap.SetAll();
        Assert.Equal(pages, bitmap.Count());
    }

    [Fact]
    public void Refuses_pages_outside() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new PageBitmap(64)[64] = true);
}
