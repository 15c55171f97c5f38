using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Emulated;

/// <summary>The <c>serial</c> model: a loop-back port of a few bytes. STOP_COPY only, no P2P, no DMA.</summary>
internal sealed class SerialDevice : EmulatedDevice, IStateSections
{
    public static readonly IReadOnlyList<ModelParameter> Parameters =
        [new("fifo", "bytes", Default: 16, Minimum: 1, Maximum: 4096)];

    private const ushort RegisterSection = 1;
    private const ushort FifoSection = 2;
    private const int RegisterCount = CommonCount + 2;

    private readonly int _capacity;
    private readonly Queue<byte> _fifo = new();
    private ulong _written;
    private ulong _taken;
    private bool _registersSent;
    private bool _fifoSent;
    private ulong[]? _loadedRegisters;
    private byte[]? _loadedFifo;

    public SerialDevice(ModelParameters parameters)
        : base("serial", 3, SerialRegisters.BarBytes, vectors: 1, MigrationCapabilities.StopCopy) =>
        _capacity = (int)parameters["fifo"];

    protected override ulong ReadModelRegister(ulong offset) => offset switch
    {
        SerialRegisters.Level => (ulong)_fifo.Count,
        SerialRegisters.Capacity => (ulong)_capacity,
        SerialRegisters.Written => _written,
        SerialRegisters.Taken => _taken,
        SerialRegisters.Receive => Take(),
        _ => 0,
    };

    protected override void WriteModelRegister(ulong offset, ulong value)
    {
        if (offset != SerialRegisters.Transmit) return;
        if (_fifo.Count == _capacity)
        {
            Errors++;
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
        _written = _taken = 0;
    }

    protected override ulong Checksum()
    {
        ulong hash = ContentHash.Append((ulong)ModelNumber, Registers());
        foreach (byte value in _fifo) hash = ContentHash.Append(hash, value);
        return hash;
    }

    protected override void BeginSave() => _registersSent = _fifoSent = false;

    protected override bool AddNextSection(StateStreamWriter writer, bool final)
    {
        if (!_registersSent)
        {
            writer.Add(RegisterSection, 1, required: true, MemoryMarshal.AsBytes<ulong>(Registers()));
            return _registersSent = true;
        }
        if (!_fifoSent)
        {
            writer.Add(FifoSection, 1, required: true, _fifo.ToArray());
            return _fifoSent = true;
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

    public SectionUse Begin(SectionHeader header) => (header.Id, header.Version) switch
    {
        (RegisterSection, 1) when header.LengthBytes == RegisterCount * 8 => SectionUse.Whole,
        (RegisterSection, 1) => throw new StateFormatException($"serial's registers have {header.LengthBytes} bytes instead of {RegisterCount * 8}"),
        (FifoSection, 1) when header.LengthBytes <= _capacity => SectionUse.Whole,
        (FifoSection, 1) => throw new StateFormatException($"serial's FIFO has {header.LengthBytes} bytes, more than {_capacity}"),
        _ => SectionUse.Unknown,
    };

    public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data)
    {
        if (header.Id == RegisterSection) _loadedRegisters = MemoryMarshal.Cast<byte, ulong>(data).ToArray();
        else _loadedFifo = data.ToArray();
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
