using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Relay;

namespace MigrationCluster.Guest.Vcpus;

/// <summary>Drives a <c>gpu</c>: starts its engine and sees that it goes on.</summary>
internal sealed class GpuDriver(DeviceRelay device, SafeFileHandle interrupts) : DeviceDriver(device, interrupts)
{
    private static readonly TimeSpan FillLimit = TimeSpan.FromSeconds(60);

    protected override async Task SetUpModelAsync()
    {
        await WriteAsync(DeviceRegisters.Control, GpuRegisters.ControlEngine);
        using var limit = new CancellationTokenSource(FillLimit);
        while ((await ReadAsync(DeviceRegisters.Status) & DeviceRegisters.StatusReady) == 0)
        {
            if (limit.IsCancellationRequested) throw new DeviceLostException($"{DeviceName} is not ready after {FillLimit}");
            await Task.Delay(2, CancellationToken.None);
        }
    }

    /// <summary>A doorbell that was rung while the gpu stood still broke the order of its group, whether or not anything was lost.</summary>
    protected override async Task<CheckResult> CheckModelAsync() =>
        new(0, await ReadAsync(GpuRegisters.DoorbellsRefused) == 0 ? 0 : 1);

    protected override Task StepModelAsync(ulong step) => ExpectAsync(DeviceRegisters.Control, GpuRegisters.ControlEngine);
}
