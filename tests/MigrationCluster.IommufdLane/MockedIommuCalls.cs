using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.IommufdLane;

/// <summary>
/// The kernel as it is, except that the opened device is said to be behind the mock's IOMMU and not to log itself: a device like many
/// of hardware, which no VM of this lane has. What the product asks of iommufd about the device goes to a mock device in the same IOAS.
/// </summary>
internal sealed unsafe class MockedIommuCalls : IKernelCalls
{
    private const nuint DeviceFeature = 0x3B75, AttachTable = 0x3B77, AllocateIoas = 0x3B81, AllocateTable = 0x3B89, GetHardware = 0x3B8A;
    private const int LoggingStart = 6, LoggingReport = 8; // VFIO_DEVICE_FEATURE_DMA_LOGGING_*

    private readonly LinuxCalls _kernel = LinuxCalls.Instance;
    private MockDevice? _device;
    private uint _ioas;

    public MockIommu? Mock { get; private set; }

    /// <summary>The page table with dirty tracking that the product made; 0: none.</summary>
    public uint Table { get; private set; }

    public int Ioctl(int file, nuint request, void* argument)
    {
        uint* words = (uint*)argument;
        switch (request)
        {
            case DeviceFeature when (words[1] & 0xFFFF) is >= LoggingStart and <= LoggingReport:
                return -Errno.ENOTTY;
            case AllocateIoas:
                return Then(_kernel.Ioctl(file, request, argument), () => (_ioas, Mock) = (words[2], new MockIommu(_kernel, file)));
            case GetHardware or AllocateTable:
                _device ??= Mock!.Add(_ioas);
                words[2] = _device.Value.Id; // dev_id
                return Then(_kernel.Ioctl(file, request, argument), () => Table = request == AllocateTable ? words[4] : Table);
            case AttachTable when Table != 0 && words[2] == Table:
                Mock!.Attach(_device!.Value, Table);
                words[2] = _ioas; // an emulated device can be attached to an IOAS only
                return _kernel.Ioctl(file, request, argument);
            default:
                return _kernel.Ioctl(file, request, argument);
        }
    }

    public int Open(string path) => _kernel.Open(path);

    public int Close(int file) => _kernel.Close(file);

    public nint Read(int file, Span<byte> destination) => _kernel.Read(file, destination);

    public nint Write(int file, ReadOnlySpan<byte> source) => _kernel.Write(file, source);

    public nint ReadAt(int file, Span<byte> destination, ulong offset) => _kernel.ReadAt(file, destination, offset);

    public nint WriteAt(int file, ReadOnlySpan<byte> source, ulong offset) => _kernel.WriteAt(file, source, offset);

    private static int Then(int result, Action whenItWorked)
    {
        if (result >= 0) whenItWorked();
        return result;
    }
}
