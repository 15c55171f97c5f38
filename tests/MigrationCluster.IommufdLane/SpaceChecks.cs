using MigrationCluster.Protocol.VfioUser;
using static MigrationCluster.IommufdLane.MockBench;

namespace MigrationCluster.IommufdLane;

/// <summary>IommufdSpace and its ioctls against the mock.</summary>
internal static class SpaceChecks
{
    private const ulong Start = MockIommu.FirstIova;

    /// <summary>What an IOMMU says of itself is what opening a device goes by.</summary>
    public static IEnumerable<string> Hardware()
    {
        using (var logs = new MockBench())
        {
            if (!logs.Tracks) throw new CheckFailedException("GET_HW_INFO does not say that the mock logs");
            Must(logs.Allocated, "HWPT_ALLOC with dirty tracking");
            Must(logs.Space.StartDirtyLog(), "SET_DIRTY_TRACKING");
            yield return "an IOMMU that logs says so, and makes a table that is started";
        }
        using var none = new MockBench(logs: false);
        if (none.Tracks) throw new CheckFailedException("GET_HW_INFO says that a device without logging logs");
        Refused(none.Allocated, Errno.EOPNOTSUPP, "HWPT_ALLOC with dirty tracking on an IOMMU that does not log");
        Refused(none.Space.StartDirtyLog(), Errno.EOPNOTSUPP, "starting a log without a table");
        yield return "an IOMMU that does not log says so, and refuses the table";
    }

    /// <summary>Every pattern in windows of several lengths is seen exactly once; the longest bitmap is more than a page of memory.</summary>
    public static IEnumerable<string> Patterns()
    {
        foreach (int pages in (int[])[1, 63, 64, 65, 1000, 33000])
        {
            using var bench = new MockBench();
            bench.Map(Start, pages);
            Must(bench.Space.StartDirtyLog(), "SET_DIRTY_TRACKING");
            int patterns = 0, written = 0;
            foreach (var (name, pattern) in Pages.Patterns(pages))
            {
                bench.Write(Start, pages, pattern);
                Pages.Exactly($"{name} of {pages} pages", pattern, bench.Report(Start, pages));
                Pages.Exactly($"{name} of {pages} pages, read again", [], bench.Report(Start, pages));
                patterns++;
                written += pattern.Length;
            }
            yield return $"{pages} pages: {patterns} patterns, {written} pages written, each seen once and no other";
        }
    }

    /// <summary>A report reads and clears its own window, and adds to the bitmap it is given.</summary>
    public static IEnumerable<string> Windows()
    {
        const int pages = 300, more = 65;
        const ulong second = Start + pages * Pages.SizeBytes, third = Start + 0x1000_0000;
        using var bench = new MockBench();
        bench.Map(Start, pages);
        bench.Map(second, more);
        Must(bench.Space.StartDirtyLog(), "SET_DIRTY_TRACKING");
        bench.Map(third, more);

        bench.Write(Start, pages, [0, 7, pages - 1]);
        bench.Write(second, more, [0, more - 1]);
        bench.Write(third, more, [64]);
        Pages.Exactly("the first window", [0, 7, pages - 1], bench.Report(Start, pages));
        Pages.Exactly("the first window again", [], bench.Report(Start, pages));
        Pages.Exactly("the one behind it", [0, more - 1], bench.Report(second, more));
        yield return "reading a window leaves the next one's pages";
        Pages.Exactly("a window mapped while the log runs", [64], bench.Report(third, more));
        yield return "a window that is mapped while the log runs is logged";

        bench.Write(Start, pages, [1, 2]);
        bench.Write(Start, pages, [2, 299]);
        byte[] bitmap = Pages.Bitmap(pages);
        bitmap[4] = 1 << 3; // page 35, from elsewhere
        Must(bench.ReportInto(bitmap, Start, pages), "reporting");
        Pages.Exactly("two writes and a bit that was there", [1, 2, 35, 299], bitmap);
        yield return "writes add up until they are read, and what is in a bitmap stays";

        bench.Write(third, 64, [0, 15, 16, 63]);
        byte[] coarse = Pages.Bitmap(4);
        Must(bench.ReportInto(coarse, third, 64, 16 * Pages.SizeBytes), "reporting by 64 KiB");
        Pages.Exactly("by 64 KiB", [0, 1, 3], coarse);
        yield return "a report by 64 KiB has a bit for each that holds a written page";
    }

    /// <summary>Starting is a clean snapshot, and what is not mapped has no pages.</summary>
    public static IEnumerable<string> Restart()
    {
        const int pages = 100;
        using var bench = new MockBench();
        bench.Map(Start, pages);
        Refused(bench.Mock.Write(bench.Table, Start, pages, [1]), Errno.EINVAL, "the mock's write before the log is started");
        Must(bench.Space.StartDirtyLog(), "SET_DIRTY_TRACKING");
        bench.Write(Start, pages, [3, 99]);
        Must(bench.Space.StopDirtyLog(), "SET_DIRTY_TRACKING off");
        yield return $"a report while the log is off: {Answer(bench, pages)}";
        Must(bench.Space.StartDirtyLog(), "SET_DIRTY_TRACKING again");
        Pages.Exactly("after a stop and a start", [], bench.Report(Start, pages));
        bench.Write(Start, pages, [4]);
        Pages.Exactly("what was written since", [4], bench.Report(Start, pages));
        yield return "a log that is started anew begins with no page";

        bench.Write(Start, pages, [5]);
        bench.Unmap(Start, pages);
        yield return $"a report of what is not mapped: {Answer(bench, pages)}";
        bench.Map(Start, pages);
        Pages.Exactly("mapped again", [], bench.Report(Start, pages));
        bench.Write(Start, pages, [6]);
        Pages.Exactly("written after it was mapped again", [6], bench.Report(Start, pages));
        yield return "a window that is mapped again begins with no page, and is logged";
    }

    private static string Answer(MockBench bench, int pages)
    {
        byte[] bitmap = Pages.Bitmap(pages);
        int result = bench.ReportInto(bitmap, Start, pages);
        return $"{(result < 0 ? $"errno {-result}" : "success")}, {Pages.Of(bitmap).Length} pages";
    }

    private static void Refused(long result, int errno, string what)
    {
        if (result != -errno) throw new CheckFailedException($"{what} should be refused with errno {errno}, and was answered {result}");
    }
}
