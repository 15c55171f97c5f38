using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>The C library's calls that .NET has no equivalent for. Linux, 64 bits; constants from the kernel's uAPI headers.</summary>
internal static unsafe class Libc
{
    internal const int MSG_CTRUNC = 0x8;
    internal const int MSG_DONTWAIT = 0x40;
    internal const int MSG_NOSIGNAL = 0x4000;
    internal const int MSG_CMSG_CLOEXEC = 0x40000000;
    internal const int SOL_SOCKET = 1;
    internal const int SCM_RIGHTS = 1;
    internal const int AF_UNIX = 1;
    internal const int SOCK_STREAM = 1;
    internal const int SOCK_CLOEXEC = 0x80000;
    internal const int PROT_READ = 1;
    internal const int PROT_WRITE = 2;
    internal const int MAP_SHARED = 1;
    internal const int MAP_POPULATE = 0x8000;
    internal const uint MFD_CLOEXEC = 1;
    internal const uint MFD_ALLOW_SEALING = 2;
    internal const int F_ADD_SEALS = 1033;
    internal const int F_GET_SEALS = 1034;
    internal const int F_SEAL_SHRINK = 2;
    internal const int EFD_CLOEXEC = 0x80000;
    internal const int EFD_NONBLOCK = 0x800;
    internal const short POLLIN = 1;
    internal const short POLLOUT = 4;

    internal const int O_RDONLY = 0;
    internal const int O_WRONLY = 1;
    internal const int O_RDWR = 2;
    internal const int O_NOCTTY = 0x100;
    internal const int O_NONBLOCK = 0x800;
    internal const int O_CLOEXEC = 0x80000;

    internal const int EINTR = 4;
    internal const int EAGAIN = 11;

    // SAFETY of all of them: the signatures are glibc's on 64-bit Linux (size_t and pointers are nint, off_t is long);
    // handles are passed as SafeHandle, so that none is closed or reused during the call; what a pointer parameter
    // points to is pinned or on the stack of the caller for the duration of the call, which keeps no pointer.

    [DllImport("libc", SetLastError = true)]
    internal static extern nint sendmsg(SafeHandle socket, MessageHead* message, int flags);

    [DllImport("libc", SetLastError = true)]
    internal static extern nint recvmsg(SafeHandle socket, MessageHead* message, int flags);

    [DllImport("libc", SetLastError = true)]
    internal static extern int socketpair(int domain, int type, int protocol, int* pair);

    [DllImport("libc", SetLastError = true)]
    internal static extern int poll(PollEntry* entries, nuint count, int timeoutMilliseconds);

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    internal static extern int memfd_create(string name, uint flags);

    /// <summary>With an int as its argument, which on 64-bit Linux is passed like a fixed one.</summary>
    [DllImport("libc", SetLastError = true)]
    internal static extern int fcntl(SafeFileHandle file, int command, int argument);

    [DllImport("libc", SetLastError = true)]
    internal static extern int ftruncate(SafeFileHandle file, long length);

    [DllImport("libc", SetLastError = true)]
    internal static extern int eventfd(uint initial, int flags);

    [DllImport("libc", SetLastError = true)]
    internal static extern nint read(SafeHandle file, void* buffer, nuint count);

    [DllImport("libc", SetLastError = true)]
    internal static extern nint write(SafeHandle file, void* buffer, nuint count);

    /// <summary>Never with O_CREAT, which wants a mode.</summary>
    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    internal static extern int open(string path, int flags);

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    internal static extern nint readlink(string path, byte* target, nuint size);

    /// <returns>the symbol in static memory, e.g. EINVAL; null: no errno.</returns>
    [DllImport("libc")]
    internal static extern byte* strerrorname_np(int errno);

    [DllImport("libc", SetLastError = true)]
    internal static extern void* mmap(void* address, nuint length, int protection, int flags, SafeFileHandle file, long offset);

    [DllImport("libc", SetLastError = true)]
    internal static extern int munmap(void* address, nuint length);

    /// <summary>The exception for the last failed call.</summary>
    internal static IOException Failure(string what)
    {
        int errno = Marshal.GetLastPInvokeError();
        return new IOException($"{what}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})");
    }

    /// <summary>struct msghdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct MessageHead
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct IoVector
    {
        public void* Base;
        public nuint Length;
    }

    /// <summary>struct cmsghdr; the data follows it directly, as 16 is a multiple of the alignment.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct ControlHead
    {
        public nuint Length;
        public int Level;
        public int Type;
    }

    /// <summary>struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct PollEntry
    {
        public int File;
        public short Events;
        public short Returned;
    }
}
