using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Guest.Vcpus;

/// <summary>
/// Drives the UARTs of the kernel's sample device mtty, one in each of its BARs of 8 bytes: registers that follow from the step, and a FIFO kept
/// half full of a counted sequence. What is written comes back out of the same FIFO: the sample loops by itself.
/// </summary>
/// <remarks>
/// Byte n of a port goes in at step n and comes out <see cref="Delay"/> steps later, so at any moment of a migration the FIFO holds bytes
/// that only the device has. With modem status interrupts enabled every write of MCR with OUT2 raises one.
/// </remarks>
internal sealed class MttyDriver(DeviceRelay device, SafeFileHandle interrupts) : DeviceDriver(device, interrupts)
{
    // 16550 registers, by offset in the BAR.
    private const ulong Data = 0, InterruptEnable = 1, FifoControl = 2, LineControl = 3, ModemControl = 4, LineStatus = 5, Scratch = 7;
    private const byte ModemStatusInterrupt = 8, EnableAndClearFifo = 7, Loop = 0x10, Out2 = 8, DataReady = 1;
    private const ulong Delay = 8; // of 16 bytes: a full FIFO reads as an empty one
    private const ulong PortBytes = 8;

    private readonly int[] _ports =
        [.. device.Shape.Regions.Where(region => region is { Index: < 6, SizeBytes: PortBytes }).Select(region => region.Index)];

    /// <summary>Whether these are the ids of an mtty.</summary>
    public static bool Drives(DeviceIdentity? identity) => identity is { Vendor: 0x4348, Device: 0x3253 };

    protected override async Task SetUpModelAsync()
    {
        foreach (int port in _ports)
        {
            await WriteByteAsync(port, LineControl, 0); // no divisor latch: it hides data and interrupt enable
            await WriteByteAsync(port, FifoControl, EnableAndClearFifo);
            await WriteByteAsync(port, InterruptEnable, ModemStatusInterrupt);
        }
    }

    protected override async Task StepDeviceAsync(ulong step)
    {
        foreach (int port in _ports)
        {
            if (step > 0 && await CountWrongRegistersAsync(port, step) > 0) CountError();
            await WriteByteAsync(port, Scratch, Expected(port, step + 1, Scratch));
            await WriteByteAsync(port, LineControl, Expected(port, step + 1, LineControl));
            TakeInterrupts();
            ulong before = Registers.Interrupts;
            await WriteByteAsync(port, ModemControl, Expected(port, step + 1, ModemControl));
            TakeInterrupts();
            if (Registers.Interrupts == before) CountError();
            await WriteByteAsync(port, Data, Expected(port, step, Data));
            if (step >= Delay && await TakeAsync(port) != Expected(port, step - Delay, Data)) CountError();
        }
        EndStep(step + 1);
    }

    /// <summary>Registers and every byte of each FIFO, which goes back in as it came out.</summary>
    protected override async Task<CheckResult> CheckDeviceAsync()
    {
        ulong step = Registers.Step;
        long wrong = 0;
        foreach (int port in _ports)
        {
            if (step == 0) continue;
            wrong += await CountWrongRegistersAsync(port, step);
            for (ulong n = step - Math.Min(step, Delay); n < step; n++)
            {
                if (await TakeAsync(port) != Expected(port, n, Data)) wrong++;
                await WriteByteAsync(port, Data, Expected(port, n, Data));
            }
        }
        return new CheckResult(0, wrong);
    }

    private async Task<int> CountWrongRegistersAsync(int port, ulong step)
    {
        int wrong = 0;
        foreach (ulong register in (ulong[])[Scratch, LineControl, ModemControl])
            if (await ReadByteAsync(port, register) != Expected(port, step, register)) wrong++;
        return wrong;
    }

    /// <returns>null: the FIFO is empty.</returns>
    private async Task<byte?> TakeAsync(int port) =>
        (await ReadByteAsync(port, LineStatus) & DataReady) != 0 ? await ReadByteAsync(port, Data) : null;

    private static byte Expected(int port, ulong step, ulong register)
    {
        byte mixed = (byte)PageStamp.Mix(step * PortBytes + register, (uint)port + 1);
        return register switch
        {
            LineControl => (byte)(mixed & 0x3F), // neither break nor divisor latch
            ModemControl => (byte)(Loop | Out2 | (mixed & 3)),
            _ => mixed,
        };
    }
}
