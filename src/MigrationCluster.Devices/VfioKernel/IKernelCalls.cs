namespace MigrationCluster.Devices.VfioKernel;

/// <summary>
/// The system calls this back end makes, and nothing above them: the seam at which tests put a kernel of their own.
/// </summary>
/// <remarks>As in the kernel itself a negative result is an errno. Descriptors are plain numbers; <see cref="KernelFile"/> owns them.</remarks>
internal unsafe interface IKernelCalls
{
    /// <summary>Opens for reading and writing, closed on exec.</summary>
    /// <returns>a descriptor, or a negative errno.</returns>
    int Open(string path);

    int Close(int file);

    /// <param name="argument">what the request takes: memory that is the caller's during the call, a number, or null.</param>
    int Ioctl(int file, nuint request, void* argument);

    nint Read(int file, Span<byte> destination);

    nint Write(int file, ReadOnlySpan<byte> source);

    nint ReadAt(int file, Span<byte> destination, ulong offset);

    nint WriteAt(int file, ReadOnlySpan<byte> source, ulong offset);
}
