using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>Anonymous memory that has a descriptor, so that other processes can map it.</summary>
public static class Memfd
{
    /// <param name="name">shows in /proc only.</param>
    /// <param name="keepsSize">nobody can shrink it any more, so that whoever maps it never meets its end.</param>
    /// <returns>a file of holes; pages come into being as they are written.</returns>
    /// <exception cref="IOException">the system refuses.</exception>
    public static SafeFileHandle Create(string name, long sizeBytes, bool keepsSize = false)
    {
        int descriptor = Libc.memfd_create(name, Libc.MFD_CLOEXEC | (keepsSize ? Libc.MFD_ALLOW_SEALING : 0));
        if (descriptor < 0) throw Libc.Failure($"memfd_create {name}");
        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Libc.ftruncate(file, sizeBytes) == 0
            && (!keepsSize || Libc.fcntl(file, Libc.F_ADD_SEALS, Libc.F_SEAL_SHRINK) == 0))
            return file;
        var failure = Libc.Failure($"cannot size {name} to {sizeBytes} bytes");
        file.Dispose();
        throw failure;
    }

    /// <summary>Whether a file was made to keep its size.</summary>
    public static bool KeepsSize(SafeFileHandle file) =>
        Libc.fcntl(file, Libc.F_GET_SEALS, 0) is var seals and >= 0 && (seals & Libc.F_SEAL_SHRINK) != 0;
}
