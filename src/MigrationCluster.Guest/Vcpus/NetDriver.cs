using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Vcpus;

/// <summary>Drives a <c>net</c>, or a <c>legacy</c>, which has no filters: its DMA area, its doorbell at a peer, and its receive filters, one written anew each step.</summary>
/// <param name="peer">the gpu it does P2P DMA into, and where; null: none.</param>
internal sealed class NetDriver(
    DeviceRelay device, SafeFileHandle interrupts, GuestRam ram, (long FirstPage, long Count) area, PeerDoorbell? peer)
    : DeviceDriver(device, interrupts)
{
    private ulong _filters;

    private ulong ControlBits => NetRegisters.ControlDma | (peer is null ? 0 : NetRegisters.ControlPeer);

    protected override async Task SetUpModelAsync()
    {
        await WriteAsync(NetRegisters.DmaBase, ram.Layout.AddressOf(area.FirstPage).Value);
        await WriteAsync(NetRegisters.DmaSizeBytes, (ulong)area.Count * GuestMemoryLayout.PageSizeBytes);
        if (peer is not null) await WriteAsync(NetRegisters.PeerAddress, peer.Address.Value);
        await WriteAsync(DeviceRegisters.Control, ControlBits);
    }

    protected override async Task StepModelAsync(ulong step)
    {
        if (_filters == 0 && (_filters = await ReadAsync(NetRegisters.Filters)) == 0) return;
        // Filters are written in turn, so what one holds follows from the step that wrote it last.
        await WriteAsync(NetRegisters.FilterIndex, (step + 1) % _filters);
        await ExpectAsync(NetRegisters.FilterValue, step + 1 >= _filters ? PageStamp.Mix(step + 1 - _filters, 2) : 0);
        await WriteAsync(NetRegisters.FilterIndex, step % _filters);
        await WriteAsync(NetRegisters.FilterValue, PageStamp.Mix(step, 2));
    }

    protected override async Task<CheckResult> CheckModelAsync()
    {
        await WriteAsync(DeviceRegisters.Control, 0);
        try
        {
            long wrong = CheckArea(await ReadAsync(NetRegisters.DmaPages), await ReadAsync(NetRegisters.DmaAccumulator));
            if (peer is { IsThere: true })
            {
                ulong sent = await ReadAsync(NetRegisters.PeerSent);
                if (await peer.ReadAsync(GpuRegisters.SlotCount) != sent) wrong++;
                if (await peer.ReadAsync(GpuRegisters.SlotLast) != sent) wrong++;
                if (await peer.ReadAsync(GpuRegisters.SlotSum) != await ReadAsync(NetRegisters.PeerSum)) wrong++;
            }
            return new CheckResult(area.Count, wrong);
        }
        finally
        {
            await WriteAsync(DeviceRegisters.Control, ControlBits);
        }
    }

    private unsafe long CheckArea(ulong written, ulong accumulator)
    {
        long wrong = 0;
        ulong sum = 0;
        ulong pages = (ulong)area.Count;
        for (ulong i = 0; i < pages; i++)
        {
            uint expected = (uint)(written / pages + (i < written % pages ? 1UL : 0));
            long page = area.FirstPage + (long)i;
            ulong number = ram.Layout.AddressOf(page).Value / GuestMemoryLayout.PageSizeBytes;
            // SAFETY: the area lies inside guest RAM by construction of GuestMap.
            bool right = expected == 0 ? ram.IsZero(page) : PageStamp.Matches(ram.Page(page), number, expected);
            if (!right) wrong++;
            sum += PageStamp.Mix(number, expected);
        }
        return wrong == 0 && sum != accumulator ? 1 : wrong;
    }
}

/// <summary>A gpu's doorbell as one net uses it.</summary>
/// <param name="address">where the net writes to.</param>
internal sealed class PeerDoorbell(DeviceRelay gpu, int slot, Iova address)
{
    public Iova Address => address;

    /// <summary>A gpu that was left behind is nobody's to ask.</summary>
    public bool IsThere => !gpu.IsIsolated && gpu.TakesGuestAccess;

    /// <summary>One of the slot's counters.</summary>
    public async Task<ulong> ReadAsync(ulong counter)
    {
        byte[] value = new byte[8];
        await gpu.ReadRegionAsync(
            DeviceRegisters.Bar, GpuRegisters.Slots + (ulong)slot * GpuRegisters.SlotBytes + counter, value, default);
        return BitConverter.ToUInt64(value);
    }
}
