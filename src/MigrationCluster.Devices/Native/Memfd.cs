using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>Anonymous memory that has a descriptor, so that other processes can map it.</summary>
public static class Memfd
{
    /// <param name="name">shows in /proc only.</param>
    /// <returns>a file of holes; pages come into being as they are written.</returns>
    /// <exception cref="IOException">the system refuses.</exception>
    public static SafeFileHandle Create(string name, long sizeBytes)
    {
        int descriptor = Libc.memfd_create(name, Libc.MFD_CLOEXEC);
        if (descriptor < 0) throw Libc.Failure($"memfd_create {name}");
        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Libc.ftruncate(file, sizeBytes) == 0) return file;
        var failure = Libc.Failure($"cannot size {name} to {sizeBytes} bytes");
        file.Dispose();
        throw failure;
    }
}
