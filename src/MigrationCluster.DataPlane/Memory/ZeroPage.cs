using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MigrationCluster.DataPlane.Memory;

/// <summary>Tells whether a page holds only zeros: the first bytes decide most pages, the rest goes 256 bytes a step.</summary>
internal static class ZeroPage
{
    /// <param name="page">a multiple of 256 bytes, not empty.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool IsZero(ReadOnlySpan<byte> page)
    {
        ref byte at = ref MemoryMarshal.GetReference(page);
        if (Vector512.LoadUnsafe(ref at) != Vector512<byte>.Zero) return false;
        for (nuint i = 0; i < (nuint)page.Length; i += 256)
        {
            var any = Vector512.LoadUnsafe(ref at, i) | Vector512.LoadUnsafe(ref at, i + 64)
                | Vector512.LoadUnsafe(ref at, i + 128) | Vector512.LoadUnsafe(ref at, i + 192);
            if (any != Vector512<byte>.Zero) return false;
        }
        return true;
    }
}
