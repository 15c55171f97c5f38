using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MigrationCluster.Protocol.Integrity;

/// <summary>
/// CRC-32C (Castagnoli; RFC 3720 appendix B.4): polynomial 0x1EDC6F41 reflected, start and end inverted. The check of
/// every page, device chunk and stream here.
/// </summary>
/// <remarks>
/// Where the CPU multiplies without carries in 256 or 512 bits, <see cref="FoldedCrc32C"/> does most of it. Else the CPU's crc32
/// instruction does, which has a latency of three cycles and starts one a cycle, so one chain of it runs at a third
/// of its speed: three chains run over neighbouring blocks and are joined. Where the CPU has no such instruction,
/// <see cref="BitOperations"/> falls back to a table. The results are the same.
/// </remarks>
public static class Crc32C
{
    // Three blocks are 4080 bytes: a 4 KiB page is one round of three chains and two steps of 8 bytes.
    private const int BlockBytes = 1360;
    private const uint ReflectedPolynomial = 0x82F63B78;

    private static readonly uint[] ShiftOneBlock = ShiftTable(BlockBytes);
    private static readonly uint[] ShiftTwoBlocks = ShiftTable(2 * BlockBytes);

    /// <summary>The CRC of a 4 KiB page of zeros.</summary>
    public static readonly uint OfZeroPage = Compute(new byte[4096]);

    public static uint Compute(ReadOnlySpan<byte> data) => Append(0, data);

    /// <summary>The CRC of what <paramref name="crc"/> covers followed by <paramref name="data"/>; start with 0.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        if (!FoldedCrc32C.IsSupported || data.Length < FoldedCrc32C.StepBytes) return AppendInChains(crc, data);
        int folded = data.Length - data.Length % FoldedCrc32C.StepBytes;
        return AppendInChains(~FoldedCrc32C.Fold(~crc, data[..folded]), data[folded..]);
    }

    /// <summary>Copies, and computes the CRC of the copy: both in one pass over the bytes.</summary>
    /// <param name="destination">as long as <paramref name="source"/>, which may change meanwhile; not overlapping it.</param>
    public static uint Copy(ReadOnlySpan<byte> source, Span<byte> destination) => AppendCopy(0, source, destination);

    /// <summary>Copies, and computes the CRC of what <paramref name="crc"/> covers followed by the copy; start with 0.</summary>
    /// <param name="destination">as in <see cref="Copy"/>.</param>
    public static uint AppendCopy(uint crc, ReadOnlySpan<byte> source, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, source.Length);
        int folded = FoldedCrc32C.IsSupported ? source.Length - source.Length % FoldedCrc32C.StepBytes : 0;
        if (folded > 0) crc = ~FoldedCrc32C.FoldAndCopy(~crc, source[..folded], destination);
        source[folded..].CopyTo(destination[folded..]);
        return AppendInChains(crc, destination[folded..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static uint AppendInChains(uint crc, ReadOnlySpan<byte> data)
    {
        uint state = ~crc;
        ref byte at = ref MemoryMarshal.GetReference(data);
        nint left = data.Length;
        while (left >= 3 * BlockBytes)
        {
            uint first = state, second = 0, third = 0;
            for (nint i = 0; i < BlockBytes; i += 8)
            {
                first = BitOperations.Crc32C(first, Word(ref at, i));
                second = BitOperations.Crc32C(second, Word(ref at, BlockBytes + i));
                third = BitOperations.Crc32C(third, Word(ref at, 2 * BlockBytes + i));
            }
            state = Shift(ShiftTwoBlocks, first) ^ Shift(ShiftOneBlock, second) ^ third;
            at = ref Unsafe.Add(ref at, 3 * BlockBytes);
            left -= 3 * BlockBytes;
        }
        for (; left >= 8; left -= 8, at = ref Unsafe.Add(ref at, 8)) state = BitOperations.Crc32C(state, Word(ref at, 0));
        for (; left > 0; left--, at = ref Unsafe.Add(ref at, 1)) state = BitOperations.Crc32C(state, at);
        return ~state;
    }

    /// <summary>The CRC of two pieces of data one after the other, from their CRCs and the second one's length in bytes.</summary>
    public static uint Combine(uint first, uint second, ulong secondBytes)
    {
        // Appending n zero bytes multiplies a CRC by x^(8n); the inversions of both parts cancel out.
        return Multiply(first, PowerOfX(checked(secondBytes * 8))) ^ second;
    }

    /// <summary>x to the power of <paramref name="exponent"/>, modulo the polynomial; bit 31 is x^0 in reflected order.</summary>
    internal static uint PowerOfX(ulong exponent)
    {
        uint power = 0x40000000; // x^1
        uint result = 0x80000000; // x^0
        for (; exponent != 0; exponent >>= 1, power = Multiply(power, power))
            if ((exponent & 1) != 0) result = Multiply(result, power);
        return result;
    }

    // SAFETY: callers keep offset + 8 within the span that `at` points into.
    private static ulong Word(ref byte at, nint offset)
    {
        ulong word = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref at, offset));
        return BitConverter.IsLittleEndian ? word : System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(word);
    }

    private static uint Shift(uint[] table, uint state) =>
        table[state & 0xFF] ^ table[256 + (state >> 8 & 0xFF)] ^ table[512 + (state >> 16 & 0xFF)] ^ table[768 + (state >> 24)];

    /// <summary>Four tables of 256: what each byte of a CRC register becomes after that many zero bytes.</summary>
    private static uint[] ShiftTable(int zeroBytes)
    {
        var ofBit = new uint[32];
        for (int bit = 0; bit < 32; bit++)
        {
            uint state = 1u << bit;
            for (int i = 0; i < zeroBytes; i += 8) state = BitOperations.Crc32C(state, 0UL);
            ofBit[bit] = state;
        }
        var table = new uint[4 * 256];
        for (int i = 0; i < table.Length; i++)
            for (int bit = 0; bit < 8; bit++)
                if ((i >> bit & 1) != 0) table[i] ^= ofBit[i / 256 * 8 + bit];
        return table;
    }

    private static uint Multiply(uint a, uint b)
    {
        uint product = 0;
        for (; a != 0; a <<= 1)
        {
            if ((a & 0x80000000) != 0) product ^= b;
            b = (b & 1) != 0 ? b >> 1 ^ ReflectedPolynomial : b >> 1;
        }
        return product;
    }
}
