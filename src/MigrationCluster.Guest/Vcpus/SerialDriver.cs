using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Relay;

namespace MigrationCluster.Guest.Vcpus;

/// <summary>Drives a <c>serial</c>: keeps its FIFO half full of a counted sequence and takes what comes out.</summary>
internal sealed class SerialDriver(DeviceRelay device, SafeFileHandle interrupts) : DeviceDriver(device, interrupts)
{
    private ulong _capacity;

    protected override Task SetUpModelAsync() => Task.CompletedTask;

    protected override async Task StepModelAsync(ulong step)
    {
        if (_capacity == 0) _capacity = await ReadAsync(SerialRegisters.Capacity);
        // Byte n goes in at step n and comes out as many steps later as half the FIFO is long.
        ulong delay = _capacity / 2;
        await WriteAsync(SerialRegisters.Transmit, (byte)step);
        if (step >= delay) await ExpectAsync(SerialRegisters.Receive, (byte)(step - delay));
    }
}
