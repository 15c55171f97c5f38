using System.Diagnostics;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Vcpus;

/// <summary>
/// One software vCPU: a thread that writes the pages of its own partition at a set rate and notices when one is not
/// as it was left.
///
/// <code>
///   check the page's stamp against the version table -> stamp version + 1 -> table -> accumulator -> mark both dirty
/// </code>
/// The table lies elsewhere in RAM and the accumulator in the vCPU's registers: a page that is lost or stale
/// disagrees with the table, one that is lost together with its table entry disagrees with the accumulator, and a torn
/// one disagrees with itself. <see cref="Pause"/> falls between batches, so a store is never parted from its mark.
/// </summary>
internal sealed unsafe class Vcpu : IDisposable
{
    private const int PagesPerBatch = 32;
    private const int PagesPerCheckStep = 2048;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(1);

    private readonly GuestRam _ram;
    private readonly VcpuDirtyLog _dirty;
    private readonly AccessPattern _pattern;
    private readonly RateBudget _budget;
    private readonly long _first;
    private readonly long _count;
    private readonly Lock _sync = new();
    private readonly ManualResetEventSlim _running = new();
    private readonly Thread _thread;
    private volatile bool _ended;
    private volatile int _throttlePercent;
    private bool _paused = true;
    private VcpuRegisters _registers;
    private CheckUnderWay? _check;

    public Vcpu(
        int index, GuestRam ram, VcpuDirtyLog dirty, (long First, long Count) partition, AccessPattern pattern,
        double pagesPerSecond, ulong seed)
    {
        _ram = ram;
        _dirty = dirty;
        _pattern = pattern;
        (_first, _count) = partition;
        _budget = new RateBudget(pagesPerSecond, TimeSpan.FromMilliseconds(50));
        _registers.Random = PageStamp.Mix(seed + (ulong)index, 1) | 1;
        _thread = new Thread(Run) { Name = $"vcpu{index}", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Registers; of a paused vCPU only, if they are to hold together.</summary>
    public VcpuRegisters Registers
    {
        get { lock (_sync) return _registers; }
        set
        {
            lock (_sync)
            {
                _registers = value;
                _check = null;
            }
        }
    }

    /// <summary>Of its time, in which it does nothing.</summary>
    public int ThrottlePercent
    {
        get => _throttlePercent;
        set => _throttlePercent = value;
    }

    /// <summary>Stamps the first 7/8 of the partition with version 1; the rest stays holes until it is written.</summary>
    public void Prefill()
    {
        lock (_sync)
        {
            for (long page = _first; page < _first + _count * 7 / 8; page++)
            {
                PageStamp.Write(_ram.Page(page), (ulong)page, 1);
                *Version(page) = 1;
                _registers.Accumulator += PageStamp.Mix((ulong)page, 1);
            }
        }
    }

    /// <summary>When it returns, nothing more is written, and what was written is marked.</summary>
    public void Pause()
    {
        _running.Reset();
        lock (_sync) _paused = true;
    }

    public void Resume()
    {
        lock (_sync) _paused = false;
        _running.Set();
    }

    /// <summary>Returns once every batch that began before has ended.</summary>
    public void PassBatchBoundary()
    {
        lock (_sync)
        {
        }
    }

    /// <summary>Sweeps the whole partition while no page of it is written. Goes on after a pause.</summary>
    public Task<CheckResult> CheckAsync()
    {
        lock (_sync)
        {
            _check ??= new CheckUnderWay(_first);
            return _check.Done.Task;
        }
    }

    public void Dispose()
    {
        _ended = true;
        _running.Set();
        _thread.Join();
        _running.Dispose();
    }

    private void Run()
    {
        long last = Stopwatch.GetTimestamp();
        while (true)
        {
            _running.Wait();
            if (_ended) return;
            long now = Stopwatch.GetTimestamp();
            int due = _budget.Take(Stopwatch.GetElapsedTime(last, now) * (1 - _throttlePercent / 100.0));
            last = now;
            bool busy;
            do
            {
                lock (_sync)
                {
                    if (_paused) break;
                    busy = _check is not null;
                    if (busy) StepCheck();
                    else for (int i = 0; i < Math.Min(due, PagesPerBatch); i++) WriteNext();
                }
                due -= PagesPerBatch;
            }
            while (busy || due > 0);
            Thread.Sleep(Tick);
        }
    }

    private void WriteNext()
    {
        long page = _first + _pattern.Next(_count, ref _registers.Random, ref _registers.Cursor);
        uint* entry = Version(page);
        byte* memory = _ram.Page(page);
        uint version = *entry;
        if (!PageStamp.Matches(memory, (ulong)page, version)) _registers.Errors++;
        PageStamp.Write(memory, (ulong)page, version + 1);
        Volatile.Write(ref *entry, version + 1);
        _registers.Accumulator += PageStamp.Mix((ulong)page, version + 1) - PageStamp.Mix((ulong)page, version);
        _registers.PageWrites++;
        _dirty.Mark(page);
        _dirty.Mark(TablePage(page));
    }

    private void StepCheck()
    {
        var check = _check!;
        long end = Math.Min(check.Next + PagesPerCheckStep, _first + _count);
        for (; check.Next < end; check.Next++)
        {
            long page = check.Next;
            uint expected = *Version(page);
            if (expected == 0)
            {
                if (!_ram.IsZero(page)) check.Wrong++;
                continue;
            }
            byte* memory = _ram.Page(page);
            if (!PageStamp.Matches(memory, (ulong)page, expected)) check.Wrong++;
            // Summed from the page itself, so that a page lost together with its table entry shows.
            check.Sum += PageStamp.Mix((ulong)page, PageStamp.Read(memory, (ulong)page) ?? 0);
        }
        if (end < _first + _count) return;
        if (check.Wrong == 0 && check.Sum != _registers.Accumulator) check.Wrong++;
        _check = null;
        check.Done.SetResult(new CheckResult(_count, check.Wrong));
    }

    // SAFETY of all page accesses: a vCPU only forms page numbers inside its partition and the table, both of which lie
    // inside guest RAM by construction of GuestMap.
    private uint* Version(long page) =>
        (uint*)_ram.Page(GuestMap.FirstTablePage) + page;

    private static long TablePage(long page) => GuestMap.FirstTablePage + page / GuestMap.EntriesPerTablePage;

    private sealed class CheckUnderWay(long first)
    {
        public long Next { get; set; } = first;
        public ulong Sum { get; set; }
        public long Wrong { get; set; }
        public TaskCompletionSource<CheckResult> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <param name="Pages">looked at.</param>
/// <param name="Wrong">lost, stale or torn; at least 1 when the accumulator disagrees.</param>
internal readonly record struct CheckResult(long Pages, long Wrong);

/// <summary>What a vCPU carries along in a migration.</summary>
internal struct VcpuRegisters
{
    public ulong Accumulator;
    public ulong Random;
    public ulong Cursor;
    public ulong PageWrites;
    public ulong Errors;
}
