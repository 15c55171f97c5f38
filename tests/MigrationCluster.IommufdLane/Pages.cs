namespace MigrationCluster.IommufdLane;

/// <summary>Sets of pages to write, by name, and bitmaps of what was seen of them.</summary>
internal static class Pages
{
    public const int SizeBytes = 4096;

    /// <summary>What a wrong shift, a wrong length or a forgotten word would show in, of a window of so many pages.</summary>
    public static IEnumerable<(string Name, int[] Written)> Patterns(int pages)
    {
        yield return ("nothing", []);
        yield return ("the first", [0]);
        yield return ("the last", [pages - 1]);
        yield return ("the first and the last", pages > 1 ? [0, pages - 1] : [0]);
        yield return ("every second", Where(pages, page => page % 2 == 0));
        yield return ("every third but the first", Where(pages, page => page % 3 == 1));
        yield return ("both sides of each 64", Where(pages, page => page % 64 is 0 or 63));
        yield return ("both sides of a bitmap's 4096 bytes", Where(pages, page => page is >= 8 * 4096 - 2 and < 8 * 4096 + 2));
        var random = new Random(1);
        yield return ("a tenth at random", Where(pages, _ => random.Next(10) == 0));
        yield return ("all", Where(pages, _ => true));
    }

    public static byte[] Bitmap(int pages) => new byte[(pages + 63) / 64 * 8];

    public static int[] Of(ReadOnlySpan<byte> bitmap)
    {
        var pages = new List<int>();
        for (int bit = 0; bit < bitmap.Length * 8; bit++)
            if ((bitmap[bit / 8] >> (bit % 8) & 1) != 0) pages.Add(bit);
        return [.. pages];
    }

    /// <exception cref="CheckFailedException">not exactly these; names some that differ.</exception>
    public static void Exactly(string what, IEnumerable<int> expected, ReadOnlySpan<byte> bitmap)
    {
        int[] seen = Of(bitmap), wanted = [.. expected.Order()];
        if (seen.SequenceEqual(wanted)) return;
        throw new CheckFailedException(
            $"{what}: {seen.Length} pages instead of {wanted.Length}; missing {Some(wanted.Except(seen))}, too many {Some(seen.Except(wanted))}");
    }

    private static int[] Where(int pages, Func<int, bool> chosen) => [.. Enumerable.Range(0, pages).Where(chosen)];

    private static string Some(IEnumerable<int> pages) => pages.ToArray() is { Length: > 0 } some
        ? string.Join(' ', some.Take(8)) + (some.Length > 8 ? " …" : "")
        : "none";
}
