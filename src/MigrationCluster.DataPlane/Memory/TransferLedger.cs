using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Memory;

/// <summary>
/// What a guest process keeps of transfers for whoever moves its pages (<see cref="TransferTables"/>): its incarnation, the pages it
/// owes to a destination's incarnation, and what was moved so far. Outlives this process.
/// </summary>
public sealed unsafe class TransferLedger
{
    private readonly ulong* _words;
    private readonly ulong* _owed;
    private readonly long _pageCount;

    /// <param name="tables">address of the mapped tables.</param>
    internal TransferLedger(nint tables, long pageCount)
    {
        // SAFETY: the tables are mapped in whole and outlive this; both offsets lie within them.
        _words = (ulong*)(tables + TransferTables.LedgerOffset(pageCount));
        _owed = (ulong*)(tables + TransferTables.OwedOffset(pageCount));
        _pageCount = pageCount;
    }

    /// <summary>Of the guest process that these tables belong to.</summary>
    public ulong Incarnation => _words[TransferTables.IncarnationWord];

    /// <summary>The destination's incarnation that debt and counts are for; 0: none.</summary>
    public ulong Counted => Volatile.Read(ref _words[TransferTables.CountedWord]);

    internal ref long Count(TransferCount what) => ref *(long*)&_words[(int)what];

    /// <summary>
    /// Everything is owed to another destination: what an earlier one acknowledged does not count. Dirty logs must run by now. Whoever
    /// dies in the middle of this has not begun it.
    /// </summary>
    public void Begin(ulong destination)
    {
        Volatile.Write(ref _words[TransferTables.CountedWord], 0);
        Owed.Fill(ulong.MaxValue);
        if (_pageCount % 64 != 0) Owed[^1] = (1UL << (int)(_pageCount % 64)) - 1;
        foreach (var what in Enum.GetValues<TransferCount>()) Count(what) = 0;
        Thread.MemoryBarrier();
        Volatile.Write(ref _words[TransferTables.CountedWord], destination);
    }

    /// <summary>Pages are dirty: they are owed again. Not while a pass is under way.</summary>
    public void Owe(PageBitmap pages)
    {
        RequireSize(pages);
        var words = pages.Words;
        for (int i = 0; i < words.Length; i++) _owed[i] |= words[i];
        Thread.MemoryBarrier(); // before the report is acknowledged
    }

    /// <summary>Adds what is owed.</summary>
    public void AddTo(PageBitmap pages)
    {
        RequireSize(pages);
        var words = pages.Words;
        for (int i = 0; i < words.Length; i++) words[i] |= _owed[i];
    }

    /// <summary>The destination has acknowledged pages. One caller at a time.</summary>
    internal void Settle(long first, long count) => PageBitmap.ClearRange(Owed, first, count);

    /// <summary>Connections were lost: what they had under way is owed as before, and counted.</summary>
    internal void NoteLost()
    {
        long lost = Count(TransferCount.Pages) + Count(TransferCount.Devices)
            - Count(TransferCount.Acknowledged) - Count(TransferCount.Unacknowledged);
        Count(TransferCount.Unacknowledged) += Math.Max(lost, 0);
    }

    // SAFETY: the bitmap has whole words for all pages of the layout.
    private Span<ulong> Owed => new(_owed, (int)((_pageCount + 63) / 64));

    private void RequireSize(PageBitmap pages)
    {
        if (pages.PageCount != _pageCount)
            throw new ArgumentException($"a set of {pages.PageCount} pages, and guest RAM has {_pageCount}");
    }
}
