using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Emulated;

/// <summary>The <c>serial</c> model: a loop-back port of a few bytes. STOP_COPY only, no P2P, no DMA.</summary>
internal sealed class SerialDevice : EmulatedDevice, IStateSections
{
    private static readonly ModelSection RegisterValues = new(1, "registers", Required: true);
    private static readonly ModelSection Fifo = new(2, "fifo", Required: true);

    /// <summary>Without it a driver would believe that nothing was lost: a device that does not know it must not take the state.</summary>
    private static readonly ModelSection Overrun = new(3, "overrun", Required: true, Rare: true, Since: 2);

    public static DeviceModel Description { get; } = new(
        "serial", Number: 3, SerialRegisters.BarBytes, MigrationCapabilities.StopCopy,
        [new("fifo", "bytes", Default: 16, Minimum: 1, Maximum: 4096)],
        [new("1", new Dictionary<string, string>())],
        [RegisterValues, Fifo, Overrun],
        _ => 1,
        parameters => new SerialDevice(parameters));

    private const int RegisterCount = CommonCount + 2;

    private readonly int _capacity;
    private readonly Queue<byte> _fifo = new();
    private ulong _written;
    private ulong _taken;
    private ulong _overrun;
    private bool _registersSent, _fifoSent, _overrunSent;
    private ulong[]? _loadedRegisters;
    private byte[]? _loadedFifo;

    public SerialDevice(ModelParameters parameters)
        : base(Description, parameters) =>
        _capacity = (int)parameters["fifo"];

    protected override ulong ReadModelRegister(ulong offset) => offset switch
    {
        SerialRegisters.Level => (ulong)_fifo.Count,
        SerialRegisters.Capacity => (ulong)_capacity,
        SerialRegisters.Written => _written,
        SerialRegisters.Taken => _taken,
        SerialRegisters.Receive => Take(),
        SerialRegisters.Overrun => Knows(Overrun) ? _overrun : 0,
        _ => 0,
    };

    protected override void WriteModelRegister(ulong offset, ulong value)
    {
        if (offset != SerialRegisters.Transmit) return;
        if (_fifo.Count == _capacity)
        {
            Errors++;
            _overrun++;
            return;
        }
        _fifo.Enqueue((byte)value);
        _written++;
        if (_fifo.Count == 1) RaiseInterrupt(0);
    }

    private ulong Take()
    {
        if (!_fifo.TryDequeue(out byte value)) return ulong.MaxValue;
        _taken++;
        return value;
    }

    protected override void ResetModel()
    {
        _fifo.Clear();
        _written = _taken = _overrun = 0;
    }

    protected override ulong Checksum()
    {
        ulong hash = ContentHash.Append((ulong)ModelNumber, Registers());
        foreach (byte value in _fifo) hash = ContentHash.Append(hash, value);
        return hash;
    }

    protected override void BeginSave() => _registersSent = _fifoSent = _overrunSent = false;

    protected override bool AddNextSection(StateStreamWriter writer, bool final)
    {
        if (!_registersSent)
        {
            writer.Add(RegisterValues.Id, 1, RegisterValues.Required, MemoryMarshal.AsBytes<ulong>(Registers()));
            return _registersSent = true;
        }
        if (!_fifoSent)
        {
            writer.Add(Fifo.Id, 1, Fifo.Required, _fifo.ToArray());
            return _fifoSent = true;
        }
        if (!_overrunSent && Knows(Overrun) && _overrun > 0)
        {
            writer.Add(Overrun.Id, 1, Overrun.Required, BitConverter.GetBytes(_overrun));
            return _overrunSent = true;
        }
        writer.End();
        return true;
    }

    // Without PRE_COPY there is no state in which this could be asked.
    protected override PreCopyBytes RemainingPreCopy() => default;

    protected override IStateSections BeginLoad()
    {
        _loadedRegisters = null;
        _loadedFifo = null;
        return this;
    }

    public SectionUse Begin(SectionHeader header)
    {
        if (header.Version != 1) return SectionUse.Unknown;
        if (header.Id == RegisterValues.Id) return Sized(header, header.LengthBytes == RegisterCount * 8, RegisterValues);
        if (header.Id == Fifo.Id) return Sized(header, header.LengthBytes <= _capacity, Fifo);
        return header.Id == Overrun.Id && Knows(Overrun) ? Sized(header, header.LengthBytes == 8, Overrun) : SectionUse.Unknown;
    }

    private SectionUse Sized(SectionHeader header, bool fits, ModelSection section) => fits
        ? SectionUse.Whole
        : throw new StateFormatException($"serial's {section.Name} has {header.LengthBytes} bytes, which a FIFO of {_capacity} does not take");

    public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data)
    {
        if (header.Id == RegisterValues.Id) _loadedRegisters = MemoryMarshal.Cast<byte, ulong>(data).ToArray();
        else if (header.Id == Fifo.Id) _loadedFifo = data.ToArray();
        else _overrun = BitConverter.ToUInt64(data);
    }

    public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece) =>
        throw new InvalidOperationException("serial streams no section");

    public void Finish()
    {
        if (_loadedRegisters is null || _loadedFifo is null)
            throw new StateFormatException("serial's state lacks its registers or its FIFO");
        LoadCommon(_loadedRegisters);
        _written = _loadedRegisters[CommonCount];
        _taken = _loadedRegisters[CommonCount + 1];
        foreach (byte value in _loadedFifo) _fifo.Enqueue(value);
    }

    private ulong[] Registers()
    {
        ulong[] values = new ulong[RegisterCount];
        SaveCommon(values);
        values[CommonCount] = _written;
        values[CommonCount + 1] = _taken;
        return values;
    }
}
