using System.Buffers.Binary;
using System.Text;
using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioKernel;

/// <summary>
/// A kernel with one device, behind the seam of system calls: what a request's number and the bytes of its argument are comes from
/// linux/vfio.h and linux/iommufd.h, written down here once more, so that a wrong offset in the product shows.
/// </summary>
/// <remarks>A descriptor that is used after it was closed, or closed twice, throws: nobody may do that to a real kernel.</remarks>
internal sealed unsafe class FakeKernel(FakeMtty device, bool iommufd = false) : IKernelCalls
{
    private readonly Dictionary<int, FakeFile> _files = [];
    private int _next = 1000;

    public FakeMtty Device => device;

    /// <summary>Paths that cannot be opened, and the errno.</summary>
    public Dictionary<string, int> Unopenable { get; } = [];

    public bool Viable { get; set; } = true;

    /// <summary>What BIND_IOMMUFD answers: EINVAL while another process has the cdev, EBUSY while it has the group.</summary>
    public int Bound { get; set; }

    /// <summary>Whether the IOMMU's page tables can log (iommufd only).</summary>
    public bool TracksDirty { get; set; }

    public int OpenFiles => _files.Count;

    /// <summary>Mapped windows: address in this process by IOVA.</summary>
    public Dictionary<ulong, (ulong Address, ulong Size)> Mapped { get; } = [];

    public bool IommuLogs { get; private set; }

    public int Open(string path)
    {
        if (Unopenable.TryGetValue(path, out int errno)) return -errno;
        FakeFile? file = path switch
        {
            "/dev/vfio/vfio" => new FakeFile.Container(),
            "/dev/vfio/7" => new FakeFile.Group(),
            "/dev/iommu" when iommufd => new FakeFile.Iommufd(),
            "/dev/vfio/devices/vfio0" when iommufd => new FakeFile.Device(),
            _ => null,
        };
        return file is null ? -Errno.ENOENT : Add(file);
    }

    public int Close(int file)
    {
        var closed = Find(file);
        _files.Remove(file);
        if (closed is FakeFile.Container or FakeFile.Iommufd) Mapped.Clear();
        return 0;
    }

    public int Ioctl(int file, nuint request, void* argument) => (Find(file), request) switch
    {
        (FakeFile.Container, 0x3B64) => 0,
        (FakeFile.Container, 0x3B65) => (nint)argument == 3 ? 1 : 0,
        (FakeFile.Container, 0x3B66) => (nint)argument == 3 ? 0 : -Errno.EINVAL,
        (FakeFile.Container, 0x3B71) => Map(Span(argument, 32), 4, 1, 2, 8, 16, 24),
        (FakeFile.Container, 0x3B72) => Unmap(Span(argument, 24), 8, 16),
        (FakeFile.Container, 0x3B75) => DirtyPages(argument),
        (FakeFile.Group, 0x3B67) => Status(Span(argument, 8)),
        (FakeFile.Group, 0x3B68) => _files.ContainsKey(*(int*)argument) ? 0 : -Errno.EINVAL,
        (FakeFile.Group, 0x3B6A) => NameAt(argument) == device.Id ? Add(new FakeFile.Device()) : -Errno.ENODEV,
        (FakeFile.Device, 0x3B76) => Bind(Span(argument, 16)),
        (FakeFile.Device, 0x3B77) => Span(argument, 12).Length == 12 ? 0 : -Errno.EINVAL,
        (FakeFile.Device, 0x3B75) => device.Feature(this, Sized(argument)),
        (FakeFile.Device, 0x3B6B) => FakeMtty.Info(Span(argument, 24)),
        (FakeFile.Device, 0x3B6C) => device.Region(Span(argument, 32)),
        (FakeFile.Device, 0x3B6D) => FakeMtty.Interrupt(Span(argument, 16)),
        (FakeFile.Device, 0x3B6E) => device.SetInterrupts(Sized(argument)),
        (FakeFile.Device, 0x3B6F) => device.Reset(),
        (FakeFile.Data data, 0x3B79) => device.PreCopyInfo(data, Span(argument, 24)),
        (FakeFile.Iommufd, 0x3B81) => Answer(Span(argument, 12), 8, 11),
        (FakeFile.Iommufd, 0x3B8A) => TracksDirty ? Answer(Span(argument, 40), 32, 1) : -Errno.ENOENT,
        (FakeFile.Iommufd, 0x3B89) => U32(Span(argument, 48), 4) == 2 ? Answer(Span(argument, 48), 16, 12) : -Errno.EINVAL,
        (FakeFile.Iommufd, 0x3B85) => (U32(Span(argument, 40), 4) & 1) == 1 ? Map(Span(argument, 40), 4, 4, 2, 16, 32, 24) : -Errno.EINVAL,
        (FakeFile.Iommufd, 0x3B86) => Unmap(Span(argument, 24), 8, 16),
        (FakeFile.Iommufd, 0x3B8B) => Track((U32(Span(argument, 16), 4) & 1) != 0),
        (FakeFile.Iommufd, 0x3B8C) => Bitmap(Span(argument, 48), 16, 24, 40),
        var (_, number) => throw new InvalidOperationException($"ioctl {number:X} on a file that does not know it"),
    };

    public nint Read(int file, Span<byte> destination) => Find(file) is FakeFile.Data data ? device.ReadData(data, destination) : -Errno.EINVAL;

    public nint Write(int file, ReadOnlySpan<byte> source) => Find(file) is FakeFile.Data data ? device.WriteData(data, source) : -Errno.EINVAL;

    public nint ReadAt(int file, Span<byte> destination, ulong offset) =>
        Find(file) is FakeFile.Device ? device.ReadAt(destination, offset) : -29; // ESPIPE: a data_fd has no offsets

    public nint WriteAt(int file, ReadOnlySpan<byte> source, ulong offset) =>
        Find(file) is FakeFile.Device ? device.WriteAt(source, offset) : -29;

    public int Add(FakeFile file)
    {
        _files[_next] = file;
        return _next++;
    }

    internal static uint U32(ReadOnlySpan<byte> argument, int at) => BinaryPrimitives.ReadUInt32LittleEndian(argument[at..]);

    internal static ulong U64(ReadOnlySpan<byte> argument, int at) => BinaryPrimitives.ReadUInt64LittleEndian(argument[at..]);

    private FakeFile Find(int file) => _files.TryGetValue(file, out var found)
        ? found
        : throw new InvalidOperationException($"descriptor {file} is not open");

    /// <summary>An argument whose first field must say the size the header gives it.</summary>
    private static Span<byte> Span(void* argument, int size)
    {
        var span = new Span<byte>(argument, size);
        Assert.Equal((uint)size, U32(span, 0));
        return span;
    }

    private static Span<byte> Sized(void* argument) => new(argument, (int)*(uint*)argument);

    private static string NameAt(void* argument) => Encoding.UTF8.GetString(
        System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated((byte*)argument));

    private int Status(Span<byte> status) => Answer(status, 4, Viable ? 1u : 0);

    private int Bind(Span<byte> bind) => Bound < 0 ? Bound : Find((int)U32(bind, 8)) is FakeFile.Iommufd ? Answer(bind, 12, 5) : -Errno.EINVAL;

    private static int Answer(Span<byte> argument, int at, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(argument[at..], value);
        return 0;
    }

    private int Map(Span<byte> map, int flagsAt, uint read, uint write, int addressAt, int iovaAt, int sizeAt)
    {
        if ((U32(map, flagsAt) & (read | write)) == 0) return -Errno.EINVAL;
        Mapped.Add(U64(map, iovaAt), (U64(map, addressAt), U64(map, sizeAt)));
        return 0;
    }

    private int Unmap(Span<byte> unmap, int iovaAt, int sizeAt) =>
        Mapped.TryGetValue(U64(unmap, iovaAt), out var window) && window.Size == U64(unmap, sizeAt) && Mapped.Remove(U64(unmap, iovaAt))
            ? 0 : -Errno.ENOENT;

    private int DirtyPages(void* argument)
    {
        var head = Sized(argument);
        switch (U32(head, 4))
        {
            case 1 or 2:
                Assert.Equal(8, head.Length);
                return device.Type1Logs ? Track(U32(head, 4) == 1) : -Errno.EINVAL;
            case 4:
                Assert.Equal(48, head.Length);
                // The type 1 IOMMU replaces the bitmap it is given.
                new Span<byte>((void*)U64(head, 40), (int)U64(head, 32)).Clear();
                return Bitmap(head, 8, 16, 40);
            default:
                return -Errno.EINVAL;
        }
    }

    private int Track(bool on)
    {
        IommuLogs = on;
        device.Dirty.Clear();
        return 0;
    }

    private int Bitmap(Span<byte> argument, int iovaAt, int sizeAt, int bitmapAt) => IommuLogs
        ? device.Report(U64(argument, iovaAt), U64(argument, sizeAt), (byte*)U64(argument, bitmapAt))
        : -Errno.EINVAL;
}

internal abstract record FakeFile
{
    internal sealed record Container : FakeFile;

    internal sealed record Group : FakeFile;

    internal sealed record Iommufd : FakeFile;

    internal sealed record Device : FakeFile;

    /// <summary>One session of a device: a later one leaves this one dead.</summary>
    internal sealed record Data(int Session, bool Saves) : FakeFile;
}
