using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// The <c>gpu</c> model: device memory of a set size that its engine dirties at a set rate, with real PRE_COPY (all of
/// it first, then what changed since), and doorbells that take a peer's P2P writes and notice a gap.
/// </summary>
internal sealed unsafe class GpuDevice : EmulatedDevice, IStateSections
{
    private static readonly ModelSection MemoryShape = new(1, "shape", Required: true);
    private static readonly ModelSection Memory = new(2, "memory", Required: true);
    private static readonly ModelSection RegisterValues = new(3, "registers", Required: true);
    private static readonly ModelSection Statistics = new(4, "statistics", Required: false, Since: 2);

    public static DeviceModel Description { get; } = new(
        "gpu", Number: 2, GpuRegisters.BarBytes,
        MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy,
        [
            new("memory-mib", "MiB", Default: 256, Minimum: 1, Maximum: 65_536),
            new("dirty-rate", "MiB/s", Default: 20, Minimum: 0, Maximum: 8192, ParameterComparator.AtLeast),
            new(DeviceModel.SaveRate, "MiB/s", Default: 0, Minimum: 0, Maximum: 65_536, Since: 2),
            new(DeviceModel.LoadRate, "MiB/s", Default: 0, Minimum: 0, Maximum: 65_536, Since: 2),
            new(DeviceModel.StopCopyOnly, "0 or 1", Default: 0, Minimum: 0, Maximum: 1, Since: 2),
        ],
        [new("1", new Dictionary<string, string>())],
        [MemoryShape, Memory, RegisterValues, Statistics],
        _ => 1,
        parameters => new GpuDevice(parameters));

    private const int SlotValues = 3;
    private const int ModelRegisters = CommonCount;
    private const int RegisterCount = CommonCount + 4 + GpuRegisters.DoorbellSlots * SlotValues;
    private const int RunHeadBytes = 8;
    private const int BlocksPerBatch = 64;
    private const ulong DoorbellsPerInterrupt = 64;
    private const int EACCES = 13;

    private readonly GpuMemory _memory;
    private readonly Engine _engine;
    private readonly RateBudget _budget;
    private readonly ulong[] _slots = new ulong[GpuRegisters.DoorbellSlots * SlotValues];

    private int _filled;
    private ulong _blockWrites, _random = 1, _doorbellsRefused;

    private bool _shapeSent, _registersSent, _statisticsSent;
    private long _initialBlocksLeft, _saveAt;

    private readonly byte[] _runHead = new byte[RunHeadBytes];
    private int _runFirst, _runCount;
    private bool _shapeLoaded;
    private ulong[]? _loadedRegisters;

    public GpuDevice(ModelParameters parameters)
        : base(Description, parameters)
    {
        _memory = new GpuMemory(parameters["memory-mib"]);
        _budget = new RateBudget(parameters["dirty-rate"] * 256.0, TimeSpan.FromMilliseconds(50));
        _engine = new Engine("gpu", Step);
    }

    protected override ulong Status => _filled == _memory.Blocks ? DeviceRegisters.StatusReady : 0;

    protected override ulong ReadModelRegister(ulong offset) => offset switch
    {
        GpuRegisters.MemoryBytes => (ulong)_memory.Blocks * GpuMemory.BlockBytes,
        GpuRegisters.BlockWrites => _blockWrites,
        GpuRegisters.Accumulator => _memory.Accumulator,
        GpuRegisters.DoorbellsRefused => _doorbellsRefused,
        >= GpuRegisters.Slots and < GpuRegisters.Slots + GpuRegisters.SlotBytes * GpuRegisters.DoorbellSlots
            when offset % GpuRegisters.SlotBytes < SlotValues * 8 =>
            _slots[(offset - GpuRegisters.Slots) / GpuRegisters.SlotBytes * SlotValues + offset % GpuRegisters.SlotBytes / 8],
        _ => 0,
    };

    protected override void WriteModelRegister(ulong offset, ulong value)
    {
        if (offset == GpuRegisters.Reinitialize)
        {
            _filled = 0;
            ExpectAllMemory();
            return;
        }
        if (!IsDoorbell(offset)) return;
        var slot = _slots.AsSpan((int)((offset - GpuRegisters.Doorbells) / 8) * SlotValues, SlotValues);
        if (value != slot[1] + 1) Errors++;
        slot[0]++;
        slot[1] = value;
        slot[2] += PageStamp.Mix(value, 1);
        if (slot[0] % DoorbellsPerInterrupt == 0) RaiseInterrupt(0);
    }

    private static bool IsDoorbell(ulong offset) =>
        offset is >= GpuRegisters.Doorbells and < GpuRegisters.Doorbells + GpuRegisters.DoorbellSlots * 8;

    protected override void CheckPeerWrite(ulong offset)
    {
        if (!IsDoorbell(offset) || Allows(DeviceAction.IncomingP2P)) return;
        _doorbellsRefused++;
        throw new DeviceRefusedException("gpu takes no P2P write in this state", EACCES);
    }

    protected override void OnActivityChanged() => _engine.Wake();

    protected override void DisposeEngines()
    {
        _engine.Dispose();
        _memory.Dispose();
    }

    /// <summary>The engine works on the device's own memory: no DMA, but none of it while the device stands still either.</summary>
    private bool IsActive => (Control & GpuRegisters.ControlEngine) != 0 && Allows(DeviceAction.OutgoingDma);

    private bool Step(TimeSpan elapsed)
    {
        for (int due = _budget.Take(elapsed); ; due -= BlocksPerBatch)
        {
            lock (Sync)
            {
                if (!IsActive) return false;
                if (_filled < _memory.Blocks)
                {
                    int end = Math.Min(_filled + BlocksPerBatch, _memory.Blocks);
                    while (_filled < end) WriteBlock(_filled++);
                    due = BlocksPerBatch * 2;
                    continue;
                }
                for (int i = 0; i < Math.Min(due, BlocksPerBatch); i++) WriteBlock(NextBlock());
            }
            if (due <= BlocksPerBatch) return true;
        }
    }

    private void WriteBlock(int block)
    {
        if (!_memory.Advance(block)) Errors++;
        _blockWrites++;
    }

    private int NextBlock()
    {
        // xorshift64 (Marsaglia 2003); its state migrates.
        _random ^= _random << 13;
        _random ^= _random >> 7;
        _random ^= _random << 17;
        return (int)(_random % (ulong)_memory.Blocks);
    }

    protected override void ResetModel()
    {
        _memory.Clear();
        Array.Clear(_slots);
        _filled = 0;
        _blockWrites = _doorbellsRefused = 0;
        _random = 1;
    }

    protected override ulong Checksum() => ContentHash.Append((ulong)ModelNumber, Registers());

    protected override void BeginSave()
    {
        _shapeSent = _registersSent = _statisticsSent = false;
        ExpectAllMemory();
        _saveAt = 0;
    }

    private void ExpectAllMemory()
    {
        _memory.MarkAllChanged();
        _initialBlocksLeft = _memory.Blocks;
    }

    protected override bool AddNextSection(StateStreamWriter writer, bool final)
    {
        if (!_shapeSent)
        {
            writer.Add(MemoryShape.Id, 1, MemoryShape.Required, BitConverter.GetBytes((ulong)_memory.Blocks));
            return _shapeSent = true;
        }
        if (_memory.TryTakeRun(_saveAt, out int first, out int count))
        {
            Span<byte> head = stackalloc byte[RunHeadBytes];
            BitConverter.TryWriteBytes(head, first);
            BitConverter.TryWriteBytes(head[4..], count);
            // SAFETY: the mapping outlives the save session, except for a reset, which ends the session with it.
            writer.Add(Memory.Id, 1, Memory.Required, head, _memory.Block(first), count * GpuMemory.BlockBytes);
            _saveAt = first + count;
            _initialBlocksLeft = Math.Max(0, _initialBlocksLeft - count);
            return true;
        }
        if (!final) return false;
        if (!_registersSent)
        {
            writer.Add(RegisterValues.Id, 1, RegisterValues.Required, MemoryMarshal.AsBytes<ulong>(Registers()));
            return _registersSent = true;
        }
        if (!_statisticsSent && Knows(Statistics))
        {
            writer.Add(Statistics.Id, 1, Statistics.Required, BitConverter.GetBytes(_doorbellsRefused));
            return _statisticsSent = true;
        }
        writer.End();
        return true;
    }

    protected override PreCopyBytes RemainingPreCopy()
    {
        ulong changed = (ulong)_memory.ChangedCount * GpuMemory.BlockBytes;
        ulong initial = Math.Min(changed, (ulong)_initialBlocksLeft * GpuMemory.BlockBytes);
        return new PreCopyBytes(initial, changed - initial);
    }

    protected override IStateSections BeginLoad()
    {
        _shapeLoaded = false;
        _loadedRegisters = null;
        return this;
    }

    public SectionUse Begin(SectionHeader header)
    {
        if (header.Version != 1) return SectionUse.Unknown;
        if (header.Id == MemoryShape.Id) return Sized(header, 8, "shape");
        if (header.Id == RegisterValues.Id) return Sized(header, RegisterCount * 8, "registers");
        if (header.Id == Statistics.Id && Knows(Statistics)) return Sized(header, 8, "statistics");
        if (header.Id != Memory.Id) return SectionUse.Unknown;
        if (!_shapeLoaded) throw new StateFormatException("gpu's memory comes before its shape");
        return header.LengthBytes > RunHeadBytes
            ? SectionUse.Streamed
            : throw new StateFormatException($"a run of gpu memory has {header.LengthBytes} bytes");
    }

    private static SectionUse Sized(SectionHeader header, uint bytes, string what) => header.LengthBytes == bytes
        ? SectionUse.Whole
        : throw new StateFormatException($"gpu's {what} has {header.LengthBytes} bytes instead of {bytes}");

    public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data)
    {
        if (header.Id == MemoryShape.Id)
        {
            ulong blocks = BitConverter.ToUInt64(data);
            if (blocks != (ulong)_memory.Blocks)
                throw new StateFormatException($"the state is of a gpu with {blocks} blocks, this one has {_memory.Blocks}");
            _shapeLoaded = true;
        }
        else if (header.Id == RegisterValues.Id)
        {
            _loadedRegisters = MemoryMarshal.Cast<byte, ulong>(data).ToArray();
        }
        else
        {
            _doorbellsRefused = BitConverter.ToUInt64(data);
        }
    }

    public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece)
    {
        if (offset < RunHeadBytes)
        {
            int head = Math.Min(piece.Length, RunHeadBytes - (int)offset);
            piece[..head].CopyTo(_runHead.AsSpan((int)offset));
            if (offset + head < RunHeadBytes) return;
            BeginRun(header);
            piece = piece[head..];
            offset = RunHeadBytes;
        }
        if (piece.IsEmpty) return;
        // SAFETY: BeginRun has checked that the run lies inside the memory; the reader never hands over more
        // bytes than the section's length, which BeginRun has compared with the run's.
        long at = offset - RunHeadBytes;
        piece.CopyTo(new Span<byte>(_memory.Block(_runFirst) + at, piece.Length));
        int adoptedBefore = (int)(at / GpuMemory.BlockBytes);
        int adoptedNow = (int)((at + piece.Length) / GpuMemory.BlockBytes);
        for (int block = adoptedBefore; block < adoptedNow; block++) _memory.Adopt(_runFirst + block);
    }

    private void BeginRun(SectionHeader header)
    {
        _runFirst = BitConverter.ToInt32(_runHead);
        _runCount = BitConverter.ToInt32(_runHead, 4);
        if (_runFirst < 0 || _runCount <= 0 || _runCount > _memory.Blocks - _runFirst
            || header.LengthBytes != RunHeadBytes + (ulong)_runCount * GpuMemory.BlockBytes)
            throw new StateFormatException(
                $"a run of {_runCount} blocks at {_runFirst} in {header.LengthBytes} bytes does not fit a gpu with {_memory.Blocks} blocks");
    }

    public void Finish()
    {
        if (!_shapeLoaded || _loadedRegisters is not { } values)
            throw new StateFormatException("gpu's state lacks its shape or its registers");
        if (_memory.Torn.Count > 0)
            throw new StateFormatException($"{_memory.Torn.Count} blocks of gpu's memory are torn, the first is {_memory.Torn.Min()}");
        // The accumulator was summed from the bytes that arrived; the registers say what it was at the source.
        if (values[ModelRegisters] != _memory.Accumulator)
            throw new StateFormatException("gpu's memory is not what its registers say: blocks were lost on the way");
        LoadCommon(values);
        (_blockWrites, _random, _filled) = (values[ModelRegisters + 1], values[ModelRegisters + 2], (int)values[ModelRegisters + 3]);
        values.AsSpan(ModelRegisters + 4).CopyTo(_slots);
    }

    private ulong[] Registers()
    {
        ulong[] values = new ulong[RegisterCount];
        SaveCommon(values);
        values[ModelRegisters] = _memory.Accumulator;
        values[ModelRegisters + 1] = _blockWrites;
        values[ModelRegisters + 2] = _random;
        values[ModelRegisters + 3] = (ulong)_filled;
        _slots.CopyTo(values, ModelRegisters + 4);
        return values;
    }
}
