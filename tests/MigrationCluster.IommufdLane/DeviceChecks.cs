using MigrationCluster.Devices;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.IommufdLane;

/// <summary>The whole of VfioKernelDevice, opened by its cdev.</summary>
internal static class DeviceChecks
{
    private const int Few = 65, Many = 5000;
    private static readonly Iova First = new(MockIommu.FirstIova), Second = new(MockIommu.FirstIova + 0x800_0000), Third = new(MockIommu.FirstIova + 0x1000_0000);

    /// <summary>Closing resets nothing; from a Resuming that was left behind the kernel's way to Stop is an oops.</summary>
    public static async IAsyncEnumerable<string> LeftBehind(string id)
    {
        foreach (var state in (DeviceState[])[DeviceState.Resuming, DeviceState.StopCopy])
        {
            await using (var first = await VfioKernelDevice.OpenAsync(id)) await first.SetStateAsync(state, default);
            var log = new List<string>();
            await using var next = await VfioKernelDevice.OpenAsync(id, log: log.Add);
            if (!log.Any(line => line.Contains($"state {state}, left by an earlier owner", StringComparison.Ordinal)))
                throw new CheckFailedException($"a device closed in {state} was found otherwise: {string.Join("; ", log)}");
            if (await next.GetStateAsync(default) != DeviceState.Running) throw new CheckFailedException($"left in {state} it was not reset");
            await next.SetStateAsync(DeviceState.Stop, default);
            yield return $"left in {state}, found so, reset to Running, taken to Stop";
        }
    }

    /// <summary>On an mtty behind the mock's IOMMU, as a migration drives it.</summary>
    public static async IAsyncEnumerable<string> FallBack(string id)
    {
        var log = new List<string>();
        var kernel = new MockedIommuCalls();
        await using var device = await VfioKernelDevice.OpenAsync(id, VfioKernelOptions.Default with { Calls = kernel }, log.Add);
        foreach (string line in log) yield return line;
        if (device.OpenedBy != "iommufd" || kernel.Table == 0)
            throw new CheckFailedException($"it was opened by {device.OpenedBy}, {(kernel.Table == 0 ? "without" : "with")} a table that logs");

        await MapAsync(device, First, Few);
        await MapAsync(device, Second, Many);
        await device.StartDirtyLogAsync(Pages.SizeBytes, default);
        if (device.DirtySource != DirtySource.Iommu) throw new CheckFailedException($"DMA is logged by {device.DirtySource}");
        yield return log[^1];

        await device.SetStateAsync(DeviceState.PreCopy, default);
        await MapAsync(device, Third, Few);
        foreach (var (name, written) in Pages.Patterns(Few)) await SeenAsync(device, kernel, First, Few, name, written);
        foreach (var (name, written) in Pages.Patterns(Many)) await SeenAsync(device, kernel, Second, Many, name, written);
        await SeenAsync(device, kernel, Third, Few, "a window mapped in PRE_COPY", [0, 64]);
        yield return "every pattern is seen once, exactly, while the device is in PRE_COPY";

        Write(kernel, First, Few, [1, 64]);
        Write(kernel, Second, Many, [4999]);
        await device.SetStateAsync(DeviceState.StopCopy, default);
        Pages.Exactly("last writes to the first window", [1, 64], await ReportAsync(device, First, Few));
        Pages.Exactly("last writes to the second window", [4999], await ReportAsync(device, Second, Many));
        Pages.Exactly("no last writes to the third window", [], await ReportAsync(device, Third, Few));
        yield return "what was written last is seen in STOP_COPY";

        await device.SetStateAsync(DeviceState.Running, default);
        await device.StopDirtyLogAsync(default);
        await device.UnmapDmaAsync(Second, (ulong)Many * Pages.SizeBytes, default);
    }

    private static async Task MapAsync(VfioKernelDevice device, Iova start, int pages)
    {
        long bytes = (long)pages * Pages.SizeBytes;
        using var file = Memfd.Create("lane", bytes);
        await device.MapDmaAsync(new DmaWindow(start, (ulong)bytes, true, true, file, 0, null), default);
    }

    private static async Task SeenAsync(VfioKernelDevice device, MockedIommuCalls kernel, Iova start, int pages, string name, int[] written)
    {
        Write(kernel, start, pages, written);
        Pages.Exactly($"{name} of {pages} pages", written, await ReportAsync(device, start, pages));
        Pages.Exactly($"{name} of {pages} pages, read again", [], await ReportAsync(device, start, pages));
    }

    private static void Write(MockedIommuCalls kernel, Iova start, int pages, int[] written)
    {
        long found = kernel.Mock!.Write(kernel.Table, start.Value, pages, written);
        if (found != written.Length) throw new CheckFailedException($"of {written.Length} pages at {start} the mock wrote {found}");
    }

    private static async Task<byte[]> ReportAsync(VfioKernelDevice device, Iova start, int pages)
    {
        byte[] bitmap = Pages.Bitmap(pages);
        await device.ReportDirtyAsync(start, (ulong)pages * Pages.SizeBytes, bitmap, default);
        return bitmap;
    }
}
