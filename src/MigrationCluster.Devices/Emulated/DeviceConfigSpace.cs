using System.Buffers.Binary;

namespace MigrationCluster.Devices.Emulated;

/// <summary>Config space of an emulated device after power-on: its ids, and MSI-X as its one capability.</summary>
internal static class DeviceConfigSpace
{
    public const ushort Vendor = 0x1D55;

    private const ushort FirstDeviceId = 0x1000;
    private const int MsixAt = 0x40;
    private const byte Msix = 0x11;

    /// <summary>The vector table's place in BAR 0, where no model has registers: a VMM puts its own over it.</summary>
    private const uint MsixTable = 0xC00;
    private const uint MsixPending = 0xBF8;

    public static ushort DeviceId(DeviceModel model) => (ushort)(FirstDeviceId + model.Number);

    public static byte[] PowerOn(DeviceModel model, int vectors)
    {
        byte[] config = new byte[DeviceRegisters.ConfigSpaceBytes];
        Put(config, 0x00, Vendor);
        Put(config, 0x02, DeviceId(model));
        Put(config, 0x06, 1 << 4); // status: there is a capability list
        config[0x0B] = 0xFF; // class: unassigned
        Put(config, 0x2C, Vendor);
        Put(config, 0x2E, (ushort)model.Number);
        config[0x34] = MsixAt;
        config[MsixAt] = Msix;
        Put(config, MsixAt + 2, (ushort)(vectors - 1));
        BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(MsixAt + 4), MsixTable | DeviceRegisters.Bar);
        BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(MsixAt + 8), MsixPending | DeviceRegisters.Bar);
        return config;
    }

    /// <summary>Command, BARs, cache line and interrupt line are the guest's to write; the rest identifies the device.</summary>
    public static bool IsWritable(int offset) => offset is 0x04 or 0x05 or 0x0C or 0x3C or (>= 0x10 and < 0x28);

    private static void Put(byte[] config, int offset, ushort value) =>
        BinaryPrimitives.WriteUInt16LittleEndian(config.AsSpan(offset), value);
}
