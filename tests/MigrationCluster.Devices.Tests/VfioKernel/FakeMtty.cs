using System.Buffers.Binary;
using System.Runtime.InteropServices;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;
using static MigrationCluster.Devices.Tests.VfioKernel.FakeKernel;

namespace MigrationCluster.Devices.Tests.VfioKernel;

/// <summary>A device of a <see cref="FakeKernel"/> that answers as the kernel's sample mtty was measured to, its errnos included.</summary>
/// <remarks>Each port keeps eight registers and a FIFO; a write to the doorbell behind the ports, which no mtty has, makes it write a page by DMA.</remarks>
internal sealed class FakeMtty(int ports, MigrationCapabilities capabilities)
{
    public const string Uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
    public const ulong Magic = 0x7e9d09898c3e2c4e;
    public const int HeaderBytes = 24;
    public const int PortBytes = 36;
    public const int DoorbellRegion = 5;
    public const int Scratch = 7;

    private readonly byte[] _registers = new byte[ports * PortBytes];
    private readonly byte[] _config = Config();
    private int _session;
    private byte[] _saved = [];
    private int _read;
    private byte[] _loaded = [];
    private int _loadedBytes;
    private bool _headerRead;
    private int _irqIndex = -1;
    private int _eventFd = -1;

    public string Id { get; } = Uuid;

    public DeviceState State { get; set; } = DeviceState.Running;

    public int StreamBytes => HeaderBytes + ports * PortBytes;

    public HashSet<ulong> Dirty { get; } = [];

    public bool DeviceLogs { get; private set; }

    /// <summary>START works and REPORT answers EOPNOTSUPP, as without iommufd.</summary>
    public bool ReportWorks { get; set; }

    public bool HasDmaLogging { get; set; } = true;

    public bool Type1Logs { get; set; } = true;

    /// <summary>The end of the data, as mtty says it; the specification has ENOMSG.</summary>
    public bool EndIsNoMessage { get; set; }

    public bool TellsPreCopy { get; set; } = true;

    public bool CanReset { get; set; } = true;

    /// <summary>The arc that fails, and what the device then is in: where it was, or Error.</summary>
    public (DeviceState From, DeviceState To, int Errno, bool Breaks)? FailsAt { get; set; }

    public List<DeviceState> Asked { get; } = [];

    public int Resets { get; private set; }

    public byte Read(int port, int register) => _registers[port * PortBytes + register];

    public static int Info(Span<byte> info)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(info[4..], 2); // PCI; the flag for reset is not set, and reset works
        BinaryPrimitives.WriteUInt32LittleEndian(info[8..], 9);
        BinaryPrimitives.WriteUInt32LittleEndian(info[12..], 5);
        return 0;
    }

    public int Region(Span<byte> region)
    {
        uint index = U32(region, 8);
        BinaryPrimitives.WriteUInt32LittleEndian(region[4..], 3);
        BinaryPrimitives.WriteUInt64LittleEndian(region[16..], index switch
        {
            7 => 0xFFul,
            DoorbellRegion => 8,
            _ => index < ports ? 8ul : 0,
        });
        BinaryPrimitives.WriteUInt64LittleEndian(region[24..], (ulong)index << 40);
        return 0;
    }

    public static int Interrupt(Span<byte> interrupt)
    {
        if (U32(interrupt, 8) > 1) return -Errno.EINVAL; // INTx and MSI only
        BinaryPrimitives.WriteUInt32LittleEndian(interrupt[4..], 1);
        BinaryPrimitives.WriteUInt32LittleEndian(interrupt[12..], 1);
        return 0;
    }

    public int SetInterrupts(Span<byte> set)
    {
        int index = (int)U32(set, 8);
        switch (U32(set, 4))
        {
            case 33 when U32(set, 16) == 0 && _irqIndex == index: // NONE | TRIGGER
                (_irqIndex, _eventFd) = (-1, -1);
                return 0;
            case 36 when U32(set, 16) == 1 && set.Length == 24 && (_irqIndex == -1 || _irqIndex == index): // EVENTFD | TRIGGER
                (_irqIndex, _eventFd) = (index, (int)U32(set, 20));
                return 0;
            default:
                return -Errno.EINVAL;
        }
    }

    /// <summary>Running again, and the session is dead; registers stay as they are.</summary>
    public int Reset()
    {
        if (!CanReset) return -Errno.ENOTTY;
        Resets++;
        State = DeviceState.Running;
        _session++;
        return 0;
    }

    public unsafe int Feature(FakeKernel kernel, Span<byte> feature)
    {
        uint flags = U32(feature, 4);
        var payload = feature[8..];
        switch (flags & 0xFFFF, flags >> 16)
        {
            case (1, 1) when capabilities != MigrationCapabilities.None:
                BinaryPrimitives.WriteUInt64LittleEndian(payload, (ulong)capabilities);
                return 0;
            case (2, 1):
                BinaryPrimitives.WriteUInt32LittleEndian(payload, (uint)State);
                BinaryPrimitives.WriteInt32LittleEndian(payload[4..], -1);
                return 0;
            case (2, 2):
                return SetState(kernel, payload);
            case (6, 6) when HasDmaLogging: // SET | PROBE
                return 0;
            case (6, 2) when HasDmaLogging:
                Assert.Equal(24, payload.Length);
                if (U32(payload, 8) == 0) return -Errno.EINVAL;
                DeviceLogs = true;
                Dirty.Clear();
                return 0;
            case (7, 2) when HasDmaLogging:
                DeviceLogs = false;
                return 0;
            case (8, 1) when HasDmaLogging:
                Assert.Equal(32, payload.Length);
                return ReportWorks ? Report(U64(payload, 0), U64(payload, 8), (byte*)U64(payload, 24)) : -Errno.EOPNOTSUPP;
            case (9, 1) when capabilities != MigrationCapabilities.None:
                BinaryPrimitives.WriteUInt64LittleEndian(payload, (ulong)StreamBytes);
                return 0;
            default:
                return -Errno.ENOTTY;
        }
    }

    public unsafe int Report(ulong iova, ulong size, byte* bitmap)
    {
        foreach (ulong page in Dirty.Where(page => page >= iova && page - iova < size).ToList())
        {
            ulong bit = (page - iova) / 4096;
            bitmap[bit / 8] |= (byte)(1 << (int)(bit % 8));
            Dirty.Remove(page);
        }
        return 0;
    }

    public int PreCopyInfo(FakeFile.Data data, Span<byte> info)
    {
        if (!data.Saves || !TellsPreCopy) return -Errno.ENOTTY;
        if (State is not (DeviceState.PreCopy or DeviceState.PreCopyP2P)) return -Errno.EINVAL;
        BinaryPrimitives.WriteUInt64LittleEndian(info[8..], (ulong)Math.Max(0, HeaderBytes - _read));
        BinaryPrimitives.WriteUInt64LittleEndian(info[16..], 0);
        return 0;
    }

    public nint ReadData(FakeFile.Data data, Span<byte> destination)
    {
        if (data.Session != _session || !data.Saves) return -Errno.ENODEV;
        int end = State == DeviceState.StopCopy ? _saved.Length : HeaderBytes;
        if (_read >= end) return EndIsNoMessage ? -Errno.ENOMSG : 0;
        int count = Math.Min(destination.Length, end - _read);
        _saved.AsSpan(_read, count).CopyTo(destination);
        _read += count;
        return count;
    }

    /// <summary>The header is checked by the write that completes it, and a header that is refused is still past.</summary>
    public nint WriteData(FakeFile.Data data, ReadOnlySpan<byte> source)
    {
        if (data.Session != _session || data.Saves) return -Errno.ENODEV;
        if (_loadedBytes + source.Length > StreamBytes) return -Errno.ENOMEM;
        source.CopyTo(_loaded.AsSpan(_loadedBytes));
        _loadedBytes += source.Length;
        if (_headerRead || _loadedBytes < HeaderBytes) return source.Length;
        _headerRead = true;
        return U64(_loaded, 0) == Magic && U32(_loaded, 8) == 1 && U32(_loaded, 12) == 0 && U32(_loaded, 16) == (uint)ports
            ? source.Length
            : -Errno.EFAULT;
    }

    public nint ReadAt(Span<byte> destination, ulong offset)
    {
        int index = (int)(offset >> 40), at = (int)(offset & 0xFFFF_FFFF);
        if (index == 7) _config.AsSpan(at, destination.Length).CopyTo(destination);
        else if (index == DoorbellRegion) destination.Clear();
        else _registers.AsSpan(index * PortBytes + at, destination.Length).CopyTo(destination);
        return destination.Length;
    }

    public nint WriteAt(ReadOnlySpan<byte> source, ulong offset)
    {
        int index = (int)(offset >> 40), at = (int)(offset & 0xFFFF_FFFF);
        if (index == 7) return source.Length; // of config space nothing sticks
        if (index == DoorbellRegion) WritePage(U64(source, 0));
        else source.CopyTo(_registers.AsSpan(index * PortBytes + at));
        return source.Length;
    }

    /// <summary>DMA as hardware does it: by the IOMMU's mapping.</summary>
    public FakeKernel? Kernel { get; set; }

    private unsafe void WritePage(ulong iova)
    {
        foreach (var (start, window) in Kernel!.Mapped)
        {
            if (iova < start || iova - start >= window.Size) continue;
            (*(ulong*)(window.Address + (iova - start)))++;
            if (DeviceLogs || Kernel.IommuLogs) Dirty.Add(iova / 4096 * 4096);
        }
    }

    private int SetState(FakeKernel kernel, Span<byte> payload)
    {
        var target = (DeviceState)U32(payload, 0);
        Asked.Add(target);
        BinaryPrimitives.WriteInt32LittleEndian(payload[4..], -1);
        if (State == DeviceState.StopCopy && target is DeviceState.PreCopy or DeviceState.PreCopyP2P && capabilities.HasFlag(MigrationCapabilities.PreCopy))
            throw new InvalidOperationException("this kernel would spin for ever");
        if (DeviceArcs.Path(State, target, capabilities) is not { } path) return -Errno.EINVAL;
        int fresh = -1;
        foreach (var next in path)
        {
            if (FailsAt is { } failure && failure.From == State && failure.To == next)
            {
                if (failure.Breaks) State = DeviceState.Error;
                return -failure.Errno;
            }
            if (State == DeviceState.Resuming && !EndLoad()) return -Errno.EINVAL;
            bool saving = DeviceArcs.IsSaving(next);
            if (saving && !DeviceArcs.IsSaving(State))
            {
                (_read, _saved) = (0, Stream());
                fresh = kernel.Add(new FakeFile.Data(++_session, Saves: true));
            }
            else if (next == DeviceState.Resuming)
            {
                (_loadedBytes, _headerRead, _loaded) = (0, false, new byte[StreamBytes]);
                fresh = kernel.Add(new FakeFile.Data(++_session, Saves: false));
            }
            else if (!saving)
            {
                _session++;
            }
            State = next;
            if (next == DeviceState.StopCopy) _saved = Stream();
        }
        BinaryPrimitives.WriteInt32LittleEndian(payload[4..], fresh);
        return 0;
    }

    private bool EndLoad()
    {
        if (_loadedBytes < StreamBytes) return false;
        _loaded.AsSpan(HeaderBytes).CopyTo(_registers);
        return true;
    }

    private byte[] Stream()
    {
        byte[] stream = new byte[StreamBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(stream, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(stream.AsSpan(8), 1);
        BinaryPrimitives.WriteUInt32LittleEndian(stream.AsSpan(16), (uint)ports);
        _registers.CopyTo(stream.AsSpan(HeaderBytes));
        return stream;
    }

    private static byte[] Config()
    {
        byte[] config = new byte[256];
        BinaryPrimitives.WriteUInt32LittleEndian(config, 0x32534348);
        BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(0x2C), 0x32534348);
        return config;
    }
}
