using System.Numerics;
using System.Runtime.InteropServices;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>A table of bits: a million pairs of hosts are 125 kB, and a row is combined 64 hosts at a time.</summary>
internal sealed class BitRows(int rows, int columns)
{
    private readonly ulong[] _bits = new ulong[rows * ((columns + 63) / 64)];

    internal int Words { get; } = (columns + 63) / 64;

    internal bool this[int row, int column]
    {
        get => (_bits[row * Words + (column >> 6)] >> column & 1) != 0;
        set
        {
            ref ulong word = ref _bits[row * Words + (column >> 6)];
            word = value ? word | 1UL << column : word & ~(1UL << column);
        }
    }

    internal Span<ulong> Row(int row) => _bits.AsSpan(row * Words, Words);

    internal static void And(Span<ulong> into, ReadOnlySpan<ulong> other)
    {
        for (int i = 0; i < into.Length; i++) into[i] &= other[i];
    }

    /// <summary>Those of <paramref name="other"/> that <paramref name="except"/> lacks.</summary>
    internal static void OrNot(Span<ulong> into, ReadOnlySpan<ulong> other, ReadOnlySpan<ulong> except)
    {
        for (int i = 0; i < into.Length; i++) into[i] |= other[i] & ~except[i];
    }

    internal static void Or(Span<ulong> into, ReadOnlySpan<ulong> other)
    {
        var wide = MemoryMarshal.Cast<ulong, Vector<ulong>>(into);
        var from = MemoryMarshal.Cast<ulong, Vector<ulong>>(other);
        for (int i = 0; i < wide.Length; i++) wide[i] |= from[i];
        for (int i = wide.Length * Vector<ulong>.Count; i < into.Length; i++) into[i] |= other[i];
    }
}
