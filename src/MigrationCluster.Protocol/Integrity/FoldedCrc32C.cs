using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MigrationCluster.Protocol.Integrity;

/// <summary>
/// CRC-32C by folding: the message is a polynomial, and a part of it may be replaced by its product with x^n modulo the CRC's polynomial
/// when it is moved n bits further on. So the data is laid over itself, 256 bytes a step, by multiplication without carries, until
/// 16 bytes are left, of which the CRC is computed as always.
/// </summary>
/// <remarks>
/// In the cache twice as fast as three chains of the crc32 instruction with vectors of 512 bits, and a tenth faster with those of 256; together
/// with a copy it costs hardly more than the copy (one AVX2 core: 6.9 GB/s, the copy alone 7.5, copying first 4.7).
/// Source: Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ, Intel 2009; here with reflected bits.
/// </remarks>
internal static class FoldedCrc32C
{
    /// <summary>Data comes in multiples of this: enough vectors that several multiplications are under way at once.</summary>
    internal const int StepBytes = 256;

    private static readonly Vector256<ulong> OneStep = Wide(8 * StepBytes), OneVector = Wide(8 * 64), HalfVector = Wide(8 * 32);
    private static readonly Vector128<ulong> OneLane = Narrow(128);

    internal static bool IsSupported => Pclmulqdq.V256.IsSupported;

    /// <param name="state">the CRC register, not inverted.</param>
    /// <param name="data">one or more steps.</param>
    /// <returns>the register after the data.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static uint Fold(uint state, ReadOnlySpan<byte> data)
    {
        ref byte source = ref MemoryMarshal.GetReference(data);
        return Fold(state, ref source, ref source, (nuint)data.Length, copy: false);
    }

    /// <summary>The same, and the data is copied.</summary>
    /// <param name="destination">at least as long.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static uint FoldAndCopy(uint state, ReadOnlySpan<byte> data, Span<byte> destination) => Fold(
        state, ref MemoryMarshal.GetReference(data), ref MemoryMarshal.GetReference(destination[..data.Length]),
        (nuint)data.Length, copy: true);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Fold(uint state, ref byte source, ref byte destination, nuint length, bool copy)
    {
        var left = Pclmulqdq.V512.IsSupported
            ? FoldBy512(state, ref source, ref destination, length, copy)
            : FoldBy256(state, ref source, ref destination, length, copy);
        var last = Move(left.GetLower(), OneLane) ^ left.GetUpper();
        return BitOperations.Crc32C(BitOperations.Crc32C(0, last[0]), last[1]);
    }

    // SAFETY, of both: the offsets are below length, a multiple of StepBytes, and both references have as many bytes behind them.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> FoldBy512(uint state, ref byte source, ref byte destination, nuint length, bool copy)
    {
        var a = Load512(ref source, ref destination, 0, copy) ^ Vector512.CreateScalar((ulong)state);
        var b = Load512(ref source, ref destination, 64, copy);
        var c = Load512(ref source, ref destination, 128, copy);
        var d = Load512(ref source, ref destination, 192, copy);
        var step = Vector512.Create(OneStep, OneStep);
        for (nuint at = StepBytes; at < length; at += StepBytes)
        {
            a = Move(a, step) ^ Load512(ref source, ref destination, at, copy);
            b = Move(b, step) ^ Load512(ref source, ref destination, at + 64, copy);
            c = Move(c, step) ^ Load512(ref source, ref destination, at + 128, copy);
            d = Move(d, step) ^ Load512(ref source, ref destination, at + 192, copy);
        }
        var vector = Vector512.Create(OneVector, OneVector);
        a = Move(Move(Move(a, vector) ^ b, vector) ^ c, vector) ^ d;
        return Move(a.GetLower(), HalfVector) ^ a.GetUpper();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> FoldBy256(uint state, ref byte source, ref byte destination, nuint length, bool copy)
    {
        var a = Load256(ref source, ref destination, 0, copy) ^ Vector256.CreateScalar((ulong)state);
        var b = Load256(ref source, ref destination, 32, copy);
        var c = Load256(ref source, ref destination, 64, copy);
        var d = Load256(ref source, ref destination, 96, copy);
        var e = Load256(ref source, ref destination, 128, copy);
        var f = Load256(ref source, ref destination, 160, copy);
        var g = Load256(ref source, ref destination, 192, copy);
        var h = Load256(ref source, ref destination, 224, copy);
        var step = OneStep;
        for (nuint at = StepBytes; at < length; at += StepBytes)
        {
            a = Move(a, step) ^ Load256(ref source, ref destination, at, copy);
            b = Move(b, step) ^ Load256(ref source, ref destination, at + 32, copy);
            c = Move(c, step) ^ Load256(ref source, ref destination, at + 64, copy);
            d = Move(d, step) ^ Load256(ref source, ref destination, at + 96, copy);
            e = Move(e, step) ^ Load256(ref source, ref destination, at + 128, copy);
            f = Move(f, step) ^ Load256(ref source, ref destination, at + 160, copy);
            g = Move(g, step) ^ Load256(ref source, ref destination, at + 192, copy);
            h = Move(h, step) ^ Load256(ref source, ref destination, at + 224, copy);
        }
        var half = HalfVector;
        a = Move(Move(Move(a, half) ^ b, half) ^ c, half) ^ d;
        return Move(Move(Move(Move(a, half) ^ e, half) ^ f, half) ^ g, half) ^ h;
    }

    // Each vector is read once: what is copied is what is checked, even when the source changes meanwhile.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Load512(ref byte source, ref byte destination, nuint at, bool copy)
    {
        var vector = Vector512.LoadUnsafe(ref source, at);
        if (copy) vector.StoreUnsafe(ref destination, at);
        return vector.AsUInt64();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Load256(ref byte source, ref byte destination, nuint at, bool copy)
    {
        var vector = Vector256.LoadUnsafe(ref source, at);
        if (copy) vector.StoreUnsafe(ref destination, at);
        return vector.AsUInt64();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Move(Vector512<ulong> value, Vector512<ulong> by) =>
        Pclmulqdq.V512.CarrylessMultiply(value, by, 0x00) ^ Pclmulqdq.V512.CarrylessMultiply(value, by, 0x11);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Move(Vector256<ulong> value, Vector256<ulong> by) =>
        Pclmulqdq.V256.CarrylessMultiply(value, by, 0x00) ^ Pclmulqdq.V256.CarrylessMultiply(value, by, 0x11);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ulong> Move(Vector128<ulong> value, Vector128<ulong> by) =>
        Pclmulqdq.CarrylessMultiply(value, by, 0x00) ^ Pclmulqdq.CarrylessMultiply(value, by, 0x11);

    // The lower half of 16 bytes lies 64 bits before the upper one. A product of two reflected numbers is one bit short, hence the
    // shift, and stands 32 bits too far on, because the constant has 32 bits.
    private static Vector128<ulong> Narrow(ulong bits) => Vector128.Create(
        (ulong)Crc32C.PowerOfX(bits + 32) << 1, (ulong)Crc32C.PowerOfX(bits - 32) << 1);

    private static Vector256<ulong> Wide(ulong bits) => Vector256.Create(Narrow(bits), Narrow(bits));
}
