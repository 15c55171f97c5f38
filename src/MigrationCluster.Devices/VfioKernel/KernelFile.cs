using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>An open file of VFIO: a container, a group, a device, a data_fd. Stays open while a call is under way.</summary>
internal sealed unsafe class KernelFile : SafeHandleMinusOneIsInvalid
{
    private readonly IKernelCalls _calls;

    /// <param name="file">a descriptor, which is taken over.</param>
    public KernelFile(IKernelCalls calls, int file, string name) : base(ownsHandle: true)
    {
        _calls = calls;
        Name = name;
        SetHandle(file);
    }

    /// <summary>For messages: its path, or what it is.</summary>
    public string Name { get; }

    public int Descriptor => (int)handle;

    public int Ioctl(nuint request, void* argument)
    {
        using var held = new Held(this);
        return _calls.Ioctl(Descriptor, request, argument);
    }

    public nint Read(Span<byte> destination)
    {
        using var held = new Held(this);
        return _calls.Read(Descriptor, destination);
    }

    public nint Write(ReadOnlySpan<byte> source)
    {
        using var held = new Held(this);
        return _calls.Write(Descriptor, source);
    }

    public nint ReadAt(Span<byte> destination, ulong offset)
    {
        using var held = new Held(this);
        return _calls.ReadAt(Descriptor, destination, offset);
    }

    public nint WriteAt(ReadOnlySpan<byte> source, ulong offset)
    {
        using var held = new Held(this);
        return _calls.WriteAt(Descriptor, source, offset);
    }

    /// <summary>Another file of the same kernel.</summary>
    public KernelFile Wrap(int file, string name) => new(_calls, file, name);

    protected override bool ReleaseHandle() => _calls.Close((int)handle) == 0;

    private readonly ref struct Held
    {
        private readonly KernelFile _file;

        /// <exception cref="ObjectDisposedException">the file is closed.</exception>
        public Held(KernelFile file)
        {
            bool added = false;
            file.DangerousAddRef(ref added);
            _file = file;
        }

        public void Dispose() => _file.DangerousRelease();
    }
}
