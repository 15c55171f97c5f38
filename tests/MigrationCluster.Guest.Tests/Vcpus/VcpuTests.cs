using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Guest.Tests.Processes;
using MigrationCluster.Guest.Vcpus;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Tests.Vcpus;

public sealed class VcpuTests : IDisposable
{
    private readonly GuestMap _map = new(Specs.Still());
    private readonly GuestRam _ram;
    private readonly VcpuDirtyLog _dirty;
    private readonly PageBitmap _marks;

    public VcpuTests()
    {
        _ram = new GuestRam(_map.Layout);
        _dirty = new VcpuDirtyLog(_map.Layout.PageCount);
        _marks = new PageBitmap(_map.Layout.PageCount);
    }

    public void Dispose() => _ram.Dispose();

    [Theory]
    [InlineData("uniform")]
    [InlineData("hotset")]
    [InlineData("sequential")]
    public void A_copy_kept_by_the_log_alone_is_complete_once_the_vcpu_is_paused(string pattern)
    {
        // As fast as it goes, and the log taken all the time: often in the middle of a write.
        using var vcpu = Create(pattern, pagesPerSecond: 10_000_000);
        vcpu.Prefill();
        _dirty.Start();
        vcpu.PassBatchBoundary();
        using var copy = new GuestRam(_map.Layout);
        Copy(copy, All());

        for (int round = 0; round < 50; round++)
        {
            ulong written = vcpu.Registers.PageWrites;
            vcpu.Resume();
            // What is copied in the middle of a write is torn, and has to be marked again.
            while (vcpu.Registers.PageWrites < written + 20_000)
                for (int i = 0; i < 1000; i++) Copy(copy, Marks());
            vcpu.Pause();
            Copy(copy, Marks());
            for (long page = 0; page < _map.Layout.PageCount; page++)
                Assert.True(Bytes(_ram, page).SequenceEqual(Bytes(copy, page)), $"page {page} differs in round {round}");
            Assert.True(Marks().IsEmpty);
        }
        Assert.Equal(0UL, vcpu.Registers.Errors);
    }

    [Fact]
    public unsafe void The_accumulator_is_the_sum_over_what_lies_in_memory()
    {
        using var vcpu = Create("uniform", pagesPerSecond: 100_000);
        vcpu.Prefill();
        vcpu.Resume();
        SpinWait.SpinUntil(() => vcpu.Registers.PageWrites > 5000);
        vcpu.Pause();
        ulong sum = 0;
        for (long page = _map.FirstDataPage; page < _map.FirstDataPage + _map.DataPages; page++)
            sum += PageStamp.Mix((ulong)page, PageStamp.Read(_ram.Page(page), (ulong)page)!.Value);
        Assert.Equal(sum, vcpu.Registers.Accumulator);
    }

    [Fact]
    public unsafe void A_stale_page_is_met_in_ordinary_work_too()
    {
        using var vcpu = Create("sequential", pagesPerSecond: 100_000);
        vcpu.Prefill();
        new Span<byte>(_ram.Page(_map.FirstDataPage + 50), 4096).Clear();
        vcpu.Resume();
        SpinWait.SpinUntil(() => vcpu.Registers.PageWrites > 100);
        vcpu.Pause();
        Assert.Equal(1UL, vcpu.Registers.Errors);
    }

    [Fact]
    public async Task A_check_goes_on_after_a_pause()
    {
        using var vcpu = Create("uniform", pagesPerSecond: 0);
        vcpu.Prefill();
        var check = vcpu.CheckAsync();
        Assert.False(check.IsCompleted);
        vcpu.Resume();
        Assert.Equal(new CheckResult(_map.DataPages, 0), await check);
    }

    [Theory]
    [InlineData("uniform", 0.05, 0.2)]
    [InlineData("hotset", 0.85, 0.97)]
    public void A_pattern_spreads_its_writes_as_it_says(string name, double least, double most)
    {
        ulong random = 12345, cursor = 0;
        var pattern = AccessPatterns.Parse(name);
        int hot = Enumerable.Range(0, 20_000).Count(_ => pattern.Next(1000, ref random, ref cursor) < 100);
        Assert.InRange(hot / 20_000.0, least, most);
    }

    private Vcpu Create(string pattern, double pagesPerSecond) =>
        new(0, _ram, _dirty, _map.Partition(0), AccessPatterns.Parse(pattern), pagesPerSecond, seed: 3);

    private PageBitmap All()
    {
        var all = new PageBitmap(_map.Layout.PageCount);
        all.SetAll();
        return all;
    }

    private PageBitmap Marks()
    {
        _marks.Clear();
        _dirty.Take(_marks);
        return _marks;
    }

    private void Copy(GuestRam to, PageBitmap pages)
    {
        for (long from = 0; pages.TryNextRun(from, 1, out long page, out _); from = page + 1)
            Bytes(_ram, page).CopyTo(Bytes(to, page));
    }

    private static unsafe Span<byte> Bytes(GuestRam ram, long page) => new(ram.Page(page), 4096);
}
