namespace MigrationCluster.Devices.Emulated;

/// <summary>Registers that every emulated model has, at these offsets of BAR0: 64 bits each, little-endian.</summary>
public static class DeviceRegisters
{
    public const int Bar = 0;
    public const int ConfigSpace = 7;
    public const ulong ConfigSpaceBytes = 256;

    /// <summary>PCI command register; bit 2 is bus mastering, without which a device does no DMA.</summary>
    public const ulong PciCommand = 0x04;
    public const ushort PciBusMaster = 4;

    /// <summary>Read-only: "MCDV" in the low half, the model's number in the high half.</summary>
    public const ulong Identity = 0x00;

    /// <summary>Read-only: checksum over all that migrates (registers and device memory).</summary>
    public const ulong Checksum = 0x08;

    /// <summary>Read-write, without effect; a driver tells by it that its writes arrive.</summary>
    public const ulong Scratch = 0x10;

    /// <summary>Read-only: interrupts raised since power-on; migrates.</summary>
    public const ulong Interrupts = 0x18;

    /// <summary>Read-only: what the device itself found wrong since power-on (stale memory, gaps); migrates.</summary>
    public const ulong Errors = 0x20;

    /// <summary>Read-write: enable bits, by model. When the write is answered, what was disabled has ended.</summary>
    public const ulong Control = 0x28;

    /// <summary>Read-only: bit 0 set when the device is ready for use.</summary>
    public const ulong Status = 0x30;
    public const ulong StatusReady = 1;

    /// <summary>First offset for a model's own registers.</summary>
    public const ulong Model = 0x40;
}
