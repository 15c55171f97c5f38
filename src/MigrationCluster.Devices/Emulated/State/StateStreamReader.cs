using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Devices.Emulated.State;

/// <summary>Parses a state stream (<see cref="StateFormat"/>) that arrives in pieces of any size.</summary>
/// <remarks>Not safe for concurrent use. After an exception the stream is broken and takes nothing more.</remarks>
public sealed class StateStreamReader(string model, ushort formatVersion, IStateSections sections)
{
    /// <summary>No section that is collected whole is longer; a length is checked before anything is allocated.</summary>
    public const uint MaxWholeSectionBytes = 1 << 20;

    private enum Phase
    {
        Header,
        SectionHeader,
        Whole,
        Streamed,
        Skipped,
        End,
        Finished,
        Broken,
    }

    private readonly byte[] _fixed = new byte[StateFormat.HeaderBytes];
    private readonly SortedSet<ushort> _dropped = [];
    private byte[] _whole = [];
    private Phase _phase = Phase.Header;
    private SectionHeader _section;
    private uint _taken;
    private uint _crc;

    /// <summary>Ids of the optional sections that were skipped because nobody here knows them, each once.</summary>
    public IReadOnlyCollection<ushort> Dropped => _dropped;

    /// <summary>Whether the end section was read and agreed.</summary>
    public bool IsComplete => _phase == Phase.Finished;

    /// <exception cref="StateFormatException">names what is wrong.</exception>
    public void Take(ReadOnlySpan<byte> data)
    {
        if (_phase == Phase.Broken) throw new StateFormatException("the state stream is broken already");
        try
        {
            while (!data.IsEmpty) data = data[Step(data)..];
        }
        catch
        {
            _phase = Phase.Broken;
            throw;
        }
    }

    private int Step(ReadOnlySpan<byte> data)
    {
        int used;
        switch (_phase)
        {
            case Phase.Header:
                used = Fill(_fixed.AsSpan(0, StateFormat.HeaderBytes), data, covered: true, out bool full);
                if (full)
                {
                    StateFormat.CheckHeader(_fixed, model, formatVersion);
                    Enter(Phase.SectionHeader);
                }
                return used;
            case Phase.SectionHeader:
                // Not covered yet: the end section's own header is outside its check.
                used = Fill(_fixed.AsSpan(0, StateFormat.SectionHeaderBytes), data, covered: false, out full);
                if (full) BeginSection();
                return used;
            case Phase.Whole:
                used = Fill(_whole.AsSpan(0, (int)_section.LengthBytes), data, covered: true, out full);
                if (full) FinishWhole();
                return used;
            case Phase.Streamed:
            case Phase.Skipped:
                used = (int)Math.Min((uint)data.Length, _section.LengthBytes - _taken);
                _crc = Crc32C.Append(_crc, data[..used]);
                if (_phase == Phase.Streamed) sections.TakePiece(_section, _taken, data[..used]);
                _taken += (uint)used;
                if (_taken == _section.LengthBytes) Enter(Phase.SectionHeader);
                return used;
            case Phase.End:
                used = Fill(_fixed.AsSpan(0, 4), data, covered: false, out full);
                if (full) FinishStream();
                return used;
            default:
                throw new StateFormatException($"{data.Length} bytes follow the end of the state stream");
        }
    }

    private void BeginSection()
    {
        _section = SectionHeader.Read(_fixed);
        if (_section.Id == StateFormat.EndSection)
        {
            if (_section.LengthBytes != 4) throw Bad($"the end section has {_section.LengthBytes} bytes instead of 4");
            Enter(Phase.End);
            return;
        }
        _crc = Crc32C.Append(_crc, _fixed.AsSpan(0, StateFormat.SectionHeaderBytes));
        switch (sections.Begin(_section))
        {
            case SectionUse.Whole:
                if (_section.LengthBytes > MaxWholeSectionBytes)
                    throw Bad($"section {_section.Id} says it has {_section.LengthBytes} bytes, more than {MaxWholeSectionBytes}");
                if (_whole.Length < _section.LengthBytes) _whole = new byte[_section.LengthBytes];
                Enter(Phase.Whole);
                if (_section.LengthBytes == 0) FinishWhole();
                break;
            case SectionUse.Streamed:
                Enter(_section.LengthBytes == 0 ? Phase.SectionHeader : Phase.Streamed);
                break;
            default:
                if (_section.Required)
                    throw Bad($"section {_section.Id} version {_section.Version} is required and unknown here");
                _dropped.Add(_section.Id);
                Enter(_section.LengthBytes == 0 ? Phase.SectionHeader : Phase.Skipped);
                break;
        }
    }

    private void FinishWhole()
    {
        sections.TakeWhole(_section, _whole.AsSpan(0, (int)_section.LengthBytes));
        Enter(Phase.SectionHeader);
    }

    private void FinishStream()
    {
        uint expected = BitConverter.ToUInt32(_fixed);
        if (expected != _crc) throw Bad($"the check over it is 0x{_crc:x8}, its end says 0x{expected:x8}");
        sections.Finish();
        Enter(Phase.Finished);
    }

    private int Fill(Span<byte> target, ReadOnlySpan<byte> data, bool covered, out bool full)
    {
        int used = Math.Min(data.Length, target.Length - (int)_taken);
        data[..used].CopyTo(target[(int)_taken..]);
        if (covered) _crc = Crc32C.Append(_crc, data[..used]);
        _taken += (uint)used;
        full = _taken == target.Length;
        return used;
    }

    private void Enter(Phase phase)
    {
        _phase = phase;
        _taken = 0;
    }

    private StateFormatException Bad(string what) => new($"state stream of '{model}': {what}");
}
