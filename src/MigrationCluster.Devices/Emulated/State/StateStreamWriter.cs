using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Devices.Emulated.State;

/// <summary>
/// Makes a state stream (<see cref="StateFormat"/>) piece by piece, as its reader asks for bytes. At most one section is
/// under way: a producer adds the next one when <see cref="IsDrained"/>, so that large memory is never copied
/// before somebody takes it.
/// </summary>
/// <remarks>Not safe for concurrent use.</remarks>
public sealed unsafe class StateStreamWriter
{
    private byte[] _small = new byte[256];
    private int _smallAt;
    private int _smallEnd;
    private byte* _large;
    private int _largeLeft;
    private uint _crc;

    public StateStreamWriter(string model, ushort formatVersion)
    {
        StateFormat.WriteHeader(_small, model, formatVersion);
        _smallEnd = StateFormat.HeaderBytes;
    }

    public bool IsDrained => _smallAt == _smallEnd && _largeLeft == 0;

    /// <summary>Whether the end section has been added; nothing may follow it.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Adds a section whose bytes are copied now.</summary>
    public void Add(ushort id, byte version, bool required, ReadOnlySpan<byte> data) =>
        AddSection(new SectionHeader(id, required, version, (uint)data.Length), data);

    /// <summary>Adds a section of a copied prefix and a run of memory that is read when the bytes are asked for.</summary>
    /// <param name="memory">must stay mapped until <see cref="IsDrained"/>.</param>
    public void Add(ushort id, byte version, bool required, ReadOnlySpan<byte> prefix, byte* memory, int memoryBytes)
    {
        AddSection(new SectionHeader(id, required, version, (uint)(prefix.Length + memoryBytes)), prefix);
        _large = memory;
        _largeLeft = memoryBytes;
    }

    /// <summary>Adds the end section. Everything before must be drained: its check covers what was taken.</summary>
    public void End()
    {
        if (!IsDrained) throw new InvalidOperationException("the end section follows drained sections only");
        Span<byte> crc = stackalloc byte[4];
        BitConverter.TryWriteBytes(crc, _crc);
        Add(StateFormat.EndSection, 1, required: true, crc);
        HasEnded = true;
    }

    /// <summary>Takes the next bytes; 0 when drained.</summary>
    public int Read(Span<byte> destination)
    {
        int total = 0;
        int small = Math.Min(destination.Length, _smallEnd - _smallAt);
        _crc = Crc32C.AppendCopy(_crc, _small.AsSpan(_smallAt, small), destination[..small]);
        _smallAt += small;
        total += small;

        int large = Math.Min(destination.Length - total, _largeLeft);
        if (large > 0)
        {
            // SAFETY: the producer keeps _large mapped for _largeLeft bytes until drained.
            _crc = Crc32C.AppendCopy(_crc, new ReadOnlySpan<byte>(_large, large), destination.Slice(total, large));
            _large += large;
            _largeLeft -= large;
            total += large;
        }
        return total;
    }

    private void AddSection(SectionHeader header, ReadOnlySpan<byte> copied)
    {
        if (HasEnded) throw new InvalidOperationException("the state stream has ended");
        if (_largeLeft != 0) throw new InvalidOperationException("a section is still under way");
        if (_smallAt == _smallEnd) _smallAt = _smallEnd = 0;
        int needed = _smallEnd + StateFormat.SectionHeaderBytes + copied.Length;
        if (needed > _small.Length) Array.Resize(ref _small, needed);
        header.Write(_small.AsSpan(_smallEnd));
        copied.CopyTo(_small.AsSpan(_smallEnd + StateFormat.SectionHeaderBytes));
        _smallEnd = needed;
    }
}
