using System.Buffers.Binary;
using System.Text;

namespace MigrationCluster.Devices.Emulated.State;

/// <summary>
/// The state stream of our own devices and of the reference machine, little-endian:
///
/// <code>
///   header   u32 magic "MCST", u16 format version, u16 0, 8 bytes model name padded with zeros
///   section  u16 id, u8 flags (1: required), u8 section version, u32 length, then that many bytes
///   ...
///   end      a required section with id 0xFFFF holding the CRC-32C of every byte before it
/// </code>
/// A reader skips a section it does not know when it is optional and refuses the stream when it is required, so that
/// an older destination can drop what it can do without, and never what it cannot.
/// </summary>
public static class StateFormat
{
    public const int HeaderBytes = 16;
    public const int SectionHeaderBytes = 8;
    public const ushort EndSection = 0xFFFF;
    public const byte RequiredFlag = 1;
    internal const uint Magic = 0x5453434D;

    internal static void WriteHeader(Span<byte> destination, string model, ushort version)
    {
        destination[..HeaderBytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], version);
        Encoding.ASCII.GetBytes(model, destination.Slice(8, 8));
    }

    /// <exception cref="StateFormatException">not our magic, another model, or a version we do not read.</exception>
    internal static void CheckHeader(ReadOnlySpan<byte> header, string model, ushort version)
    {
        uint magic = BinaryPrimitives.ReadUInt32LittleEndian(header);
        if (magic != Magic) throw new StateFormatException($"the state stream starts with 0x{magic:x8}, not with our magic");
        string name = Encoding.ASCII.GetString(header.Slice(8, 8)).TrimEnd('\0');
        if (name != model) throw new StateFormatException($"this is the state of a '{name}', not of a '{model}'");
        ushort actual = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]);
        if (actual != version)
            throw new StateFormatException($"state format {model}/{actual} is unknown here, which reads {model}/{version}");
    }
}

/// <param name="LengthBytes">of the data that follows.</param>
public readonly record struct SectionHeader(ushort Id, bool Required, byte Version, uint LengthBytes)
{
    internal void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, Id);
        destination[2] = Required ? StateFormat.RequiredFlag : (byte)0;
        destination[3] = Version;
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], LengthBytes);
    }

    internal static SectionHeader Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt16LittleEndian(source),
        (source[2] & StateFormat.RequiredFlag) != 0,
        source[3],
        BinaryPrimitives.ReadUInt32LittleEndian(source[4..]));
}
