namespace MigrationCluster.Devices.Emulated;

/// <summary>Registers of the <c>serial</c> model beyond <see cref="DeviceRegisters"/>.</summary>
public static class SerialRegisters
{
    /// <summary>Write-only: appends the low byte to the FIFO; an error when full.</summary>
    public const ulong Transmit = 0x40;

    /// <summary>Read-only: bytes in the FIFO, its capacity, and bytes written and taken since power-on.</summary>
    public const ulong Level = 0x48;
    public const ulong Capacity = 0x50;
    public const ulong Written = 0x58;
    public const ulong Taken = 0x60;

    /// <summary>Read-only, with the effect of taking: the oldest byte of the FIFO, all ones when it is empty.</summary>
    public const ulong Receive = 0x68;

    /// <summary>Read-only: bytes that were lost because the FIFO was full.</summary>
    public const ulong Overrun = 0x70;

    public const ulong BarBytes = 4096;
}
