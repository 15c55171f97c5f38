using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>Interrupts between processes: a counter behind a descriptor (eventfd(2)), non-blocking.</summary>
public static unsafe class EventFd
{
    /// <exception cref="IOException">the system refuses.</exception>
    public static SafeFileHandle Create()
    {
        int descriptor = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        return descriptor < 0 ? throw Libc.Failure("eventfd") : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Adds one. A counter that is full stays full, which loses nothing: it is still signalled.</summary>
    /// <exception cref="IOException">no eventfd.</exception>
    public static void Signal(SafeFileHandle eventFd)
    {
        ulong one = 1;
        // SAFETY: eight bytes on the stack, read during the call only.
        if (Libc.write(eventFd, &one, sizeof(ulong)) != sizeof(ulong)
            && Marshal.GetLastPInvokeError() is not (Libc.EAGAIN or Libc.EINTR))
            throw Libc.Failure("cannot signal an eventfd");
    }

    /// <summary>Takes the whole count and leaves zero; 0 when nothing was signalled.</summary>
    /// <exception cref="IOException">no eventfd.</exception>
    public static ulong Take(SafeFileHandle eventFd)
    {
        ulong count = 0;
        // SAFETY: eight bytes on the stack, written during the call only.
        if (Libc.read(eventFd, &count, sizeof(ulong)) == sizeof(ulong)) return count;
        return Marshal.GetLastPInvokeError() is Libc.EAGAIN or Libc.EINTR
            ? 0UL
            : throw Libc.Failure("cannot read an eventfd");
    }

    /// <summary>Blocks until one of them is signalled, without taking its count. For a dedicated thread.</summary>
    /// <param name="limit">at most this long.</param>
    /// <returns>whether one is signalled.</returns>
    public static bool Wait(IReadOnlyList<SafeFileHandle> eventFds, TimeSpan limit)
    {
        var entries = new Libc.PollEntry[eventFds.Count];
        int held = 0;
        try
        {
            for (; held < entries.Length; held++)
            {
                bool added = false;
                eventFds[held].DangerousAddRef(ref added);
                entries[held] = new Libc.PollEntry { File = (int)eventFds[held].DangerousGetHandle(), Events = Libc.POLLIN };
            }
            // SAFETY: the array is pinned during the call; every handle in it is referenced until the finally.
            fixed (Libc.PollEntry* first = entries)
                return Libc.poll(first, (nuint)entries.Length, (int)limit.TotalMilliseconds) > 0;
        }
        finally
        {
            while (held > 0) eventFds[--held].DangerousRelease();
        }
    }
}
