namespace MigrationCluster.Devices.Emulated;

/// <summary>Registers of the <c>gpu</c> model beyond <see cref="DeviceRegisters"/>.</summary>
public static class GpuRegisters
{
    /// <summary>Control: the engine first stamps all device memory, then keeps writing blocks.</summary>
    public const ulong ControlEngine = 1;

    /// <summary>Read-only.</summary>
    public const ulong MemoryBytes = 0x40;

    /// <summary>Read-only: 4 KiB blocks written, and the sum of <see cref="PageStamp.Mix"/> over all blocks.</summary>
    public const ulong BlockWrites = 0x48;
    public const ulong Accumulator = 0x50;

    /// <summary>Read-only: doorbell writes that arrived while the device's state took none: whoever keeps the order of a group has broken it.
    /// Migrates with the statistics.</summary>
    public const ulong DoorbellsRefused = 0x58;

    /// <summary>Write-only, any value: the engine is set up anew and stamps all device memory once more. In pre-copy all of it counts as
    /// initial bytes again, so the device takes back that it was ready.</summary>
    public const ulong Reinitialize = 0x60;

    /// <summary>Read-only, per doorbell slot: writes taken, last number, sum of <see cref="PageStamp.Mix"/> at version 1.</summary>
    public const ulong Slots = 0x800;
    public const ulong SlotBytes = 32;
    public const ulong SlotCount = 0x00;
    public const ulong SlotLast = 0x08;
    public const ulong SlotSum = 0x10;

    /// <summary>Doorbells, 8 bytes a slot, in a page of their own that a peer's DMA may be mapped to. Write-only.</summary>
    public const ulong Doorbells = 0x1000;
    public const int DoorbellSlots = 16;
    public const ulong DoorbellPageBytes = 4096;

    public const ulong BarBytes = 8192;
}
