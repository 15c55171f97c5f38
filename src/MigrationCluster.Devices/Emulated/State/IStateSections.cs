namespace MigrationCluster.Devices.Emulated.State;

/// <summary>How a section's data is to be handed over.</summary>
public enum SectionUse
{
    /// <summary>Not known: skipped when optional, refused when required.</summary>
    Unknown = 0,

    /// <summary>Collected, then handed over at once.</summary>
    Whole = 1,

    /// <summary>Handed over as it arrives, in pieces of any size.</summary>
    Streamed = 2,
}

/// <summary>Takes the sections of a state stream as <see cref="StateStreamReader"/> finds them.</summary>
public interface IStateSections
{
    /// <exception cref="StateFormatException">the section may not stand here or has an impossible length.</exception>
    SectionUse Begin(SectionHeader header);

    void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data);

    /// <param name="offset">of <paramref name="piece"/> in the section's data.</param>
    void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece);

    /// <summary>The end section's check agreed. Refuse here what is missing.</summary>
    void Finish();
}
