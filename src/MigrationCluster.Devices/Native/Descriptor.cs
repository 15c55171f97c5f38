using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>A second descriptor of the same open file, for keeping what was only borrowed.</summary>
internal static class Descriptor
{
    private const int F_DUPFD_CLOEXEC = 1030;

    /// <exception cref="IOException">no descriptor is left, or the one given is closed.</exception>
    public static SafeFileHandle Duplicate(SafeFileHandle file)
    {
        // SAFETY: fcntl takes and returns descriptors by value; the handle is referenced during the call.
        int copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
        return copy >= 0
            ? new SafeFileHandle(copy, ownsHandle: true)
            : throw new IOException($"cannot duplicate a descriptor: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int fcntl(SafeHandle file, int command, nint argument);
}
