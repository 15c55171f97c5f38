using System.Runtime.InteropServices;
using MigrationCluster.Devices.Native;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>The kernel of this host.</summary>
/// <remarks>Not RandomAccess: it refuses device files, which cannot seek. A call that a signal ended before it did anything is made again.</remarks>
internal sealed unsafe class LinuxCalls : IKernelCalls
{
    public static LinuxCalls Instance { get; } = new();

    private LinuxCalls()
    {
    }

    public int Open(string path)
    {
        int result;
        do result = Errno(open(path, Libc.O_RDWR | Libc.O_CLOEXEC));
        while (result == -Libc.EINTR);
        return result;
    }

    public int Close(int file) => Errno(close(file));

    public int Ioctl(int file, nuint request, void* argument)
    {
        int result;
        do result = Errno(ioctl(file, request, argument));
        while (result == -Libc.EINTR);
        return result;
    }

    public nint Read(int file, Span<byte> destination)
    {
        nint result;
        // SAFETY: the span is pinned during the call, which writes at most its length.
        fixed (byte* first = destination)
            do result = Errno(read(file, first, (nuint)destination.Length));
            while (result == -Libc.EINTR);
        return result;
    }

    public nint Write(int file, ReadOnlySpan<byte> source)
    {
        nint result;
        // SAFETY: the span is pinned during the call, which reads at most its length.
        fixed (byte* first = source)
            do result = Errno(write(file, first, (nuint)source.Length));
            while (result == -Libc.EINTR);
        return result;
    }

    public nint ReadAt(int file, Span<byte> destination, ulong offset)
    {
        nint result;
        // SAFETY: as in Read; off_t has 64 bits.
        fixed (byte* first = destination)
            do result = Errno(pread(file, first, (nuint)destination.Length, (long)offset));
            while (result == -Libc.EINTR);
        return result;
    }

    public nint WriteAt(int file, ReadOnlySpan<byte> source, ulong offset)
    {
        nint result;
        // SAFETY: as in Write; off_t has 64 bits.
        fixed (byte* first = source)
            do result = Errno(pwrite(file, first, (nuint)source.Length, (long)offset));
            while (result == -Libc.EINTR);
        return result;
    }

    private static int Errno(int result) => result < 0 ? -Marshal.GetLastPInvokeError() : result;

    private static nint Errno(nint result) => result < 0 ? -Marshal.GetLastPInvokeError() : result;

    // SAFETY of all of them: glibc's signatures on 64-bit Linux. Descriptors are plain numbers: KernelFile keeps each open during the
    // call. No call keeps a pointer it is given.

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    private static extern int open(string path, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int close(int file);

    /// <summary>With one argument, which on 64-bit Linux is passed like a fixed one.</summary>
    [DllImport("libc", SetLastError = true)]
    private static extern int ioctl(int file, nuint request, void* argument);

    [DllImport("libc", SetLastError = true)]
    private static extern nint read(int file, void* buffer, nuint count);

    [DllImport("libc", SetLastError = true)]
    private static extern nint write(int file, void* buffer, nuint count);

    [DllImport("libc", SetLastError = true)]
    private static extern nint pread(int file, void* buffer, nuint count, long offset);

    [DllImport("libc", SetLastError = true)]
    private static extern nint pwrite(int file, void* buffer, nuint count, long offset);
}
