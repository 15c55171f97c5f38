using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.Contract;

/// <summary>
/// What every <see cref="IMigratableDevice"/> must hold, wherever it lives. A subclass makes fresh devices of one kind,
/// changes what migrates and tells it apart; capabilities are probed, so the same suite fits every device.
/// </summary>
public abstract class MigratableDeviceContract : IAsyncLifetime
{
    private const int PageSizeBytes = GuestMemoryLayout.PageSizeBytes;
    private const int WindowPages = 256;
    private static readonly Iova WindowStart = new(0x100000);
    private readonly List<IMigratableDevice> _made = [];

    /// <summary>A fresh device at its power-on values, Running. The suite disposes it.</summary>
    protected abstract Task<IMigratableDevice> CreateAsync();

    /// <summary>Changes content that the state stream carries; another seed, another content.</summary>
    protected abstract Task ChangeAsync(IMigratableDevice device, ulong seed);

    /// <summary>Tells apart whatever <see cref="ChangeAsync"/> changes. Works in Running and in Stop.</summary>
    protected abstract Task<ulong> FingerprintAsync(IMigratableDevice device);

    /// <summary>Makes the device write pages of the window by DMA, changing their content, until it is stopped.</summary>
    /// <returns>false: this kind of device does no DMA.</returns>
    protected abstract Task<bool> StartDmaAsync(IMigratableDevice device, Iova window, ulong sizeBytes);

    /// <summary>A register that keeps what is written, of <see cref="ScratchBytes"/>.</summary>
    protected abstract (int Region, ulong Offset) Scratch { get; }

    protected virtual int ScratchBytes => 8;

    /// <summary>Whose table of allowed actions holds.</summary>
    protected virtual BackEnd BackEnd => BackEnd.VfioUser;

    /// <summary>Whether a reset takes registers back to power-on values. The uAPI promises Running and no more.</summary>
    protected virtual bool ResetClearsRegisters => true;

    /// <summary>Offsets in a stream at which the device itself finds a byte that changed.</summary>
    protected virtual IReadOnlyList<int> CheckedBytes(int streamBytes) => [0, streamBytes / 3, streamBytes / 2, streamBytes - 1];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var device in _made) await device.DisposeAsync();
    }

    [Fact]
    public async Task Starts_running()
    {
        var device = await MakeAsync();
        Assert.Equal(DeviceState.Running, await device.GetStateAsync(default));
    }

    [Fact]
    public async Task Follows_the_table_of_arcs_between_every_pair_of_states()
    {
        var capabilities = await ProbeAsync();
        byte[] stream = await SaveAsync(await MakeAsync());
        var device = await MakeAsync();
        DeviceState[] targets = [.. Enum.GetValues<DeviceState>(), (DeviceState)8];
        foreach (var from in Enum.GetValues<DeviceState>().Where(state => IsReachable(state, capabilities)))
            foreach (var to in targets)
            {
                await device.ResetAsync(default);
                await device.SetStateAsync(from, default);
                bool allowed = DeviceArcs.Next(from, to, capabilities) is not null;
                if (allowed && from == DeviceState.Resuming && to != from) await device.WriteDataAsync(stream, default);
                var failure = await Record.ExceptionAsync(async () => await device.SetStateAsync(to, default));
                Assert.True(allowed == failure is null, $"{from} -> {to}: {failure?.Message ?? "was accepted"}");
                if (failure is not null) Assert.IsAssignableFrom<DeviceRefusedException>(failure);
                Assert.Equal(allowed ? to : from, await device.GetStateAsync(default));
            }
    }

    [Fact]
    public async Task Gives_state_data_in_saving_states_only_and_takes_it_in_Resuming_only()
    {
        var capabilities = await ProbeAsync();
        var device = await MakeAsync();
        foreach (var state in Enum.GetValues<DeviceState>().Where(state => IsReachable(state, capabilities)))
        {
            await device.ResetAsync(default);
            await device.SetStateAsync(state, default);
            var read = await Record.ExceptionAsync(async () => await device.ReadDataAsync(new byte[16], default));
            Assert.True(DeviceArcs.IsSaving(state) == read is null, $"reading in {state}: {read?.Message ?? "was accepted"}");
            if (state == DeviceState.Resuming) continue;
            await Assert.ThrowsAnyAsync<DeviceRefusedException>(async () => await device.WriteDataAsync(new byte[16], default));
        }
    }

    [Fact]
    public async Task Carries_its_state_to_another_device()
    {
        var source = await MakeAsync();
        await ChangeAsync(source, 1);
        byte[] stream = await SaveAsync(source);
        ulong expected = await FingerprintAsync(source);
        var destination = await MakeAsync();
        Assert.NotEqual(expected, await FingerprintAsync(destination));
        await LoadAsync(destination, stream, pieceBytes: 7919);
        await destination.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(expected, await FingerprintAsync(destination));
        await destination.SetStateAsync(DeviceState.Running, default);
    }

    [Fact]
    public async Task Carries_what_changed_during_pre_copy()
    {
        if (!(await ProbeAsync()).HasFlag(MigrationCapabilities.PreCopy)) return;
        var source = await MakeAsync();
        await ChangeAsync(source, 1);
        await source.SetStateAsync(DeviceState.PreCopy, default);
        using var stream = new MemoryStream();
        await DrainAsync(source, stream);
        await ChangeAsync(source, 2);
        await DrainAsync(source, stream);
        await ChangeAsync(source, 3);
        stream.Write(await SaveAsync(source));
        ulong expected = await FingerprintAsync(source);
        var destination = await MakeAsync();
        await LoadAsync(destination, stream.ToArray(), pieceBytes: 1 << 20);
        await destination.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(expected, await FingerprintAsync(destination));
    }

    [Fact]
    public async Task Runs_on_after_a_cancelled_save()
    {
        var device = await MakeAsync();
        await ChangeAsync(device, 1);
        await device.SetStateAsync(DeviceState.StopCopy, default);
        await device.ReadDataAsync(new byte[16], default);
        await device.SetStateAsync(DeviceState.Running, default);
        await ChangeAsync(device, 2);
        byte[] stream = await SaveAsync(device);
        ulong expected = await FingerprintAsync(device);
        var destination = await MakeAsync();
        await LoadAsync(destination, stream, pieceBytes: 4096);
        await destination.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(expected, await FingerprintAsync(destination));
    }

    [Fact]
    public async Task A_truncated_stream_never_runs()
    {
        byte[] stream = await SaveChangedAsync();
        var device = await MakeAsync();
        foreach (int length in new[] { 0, 1, stream.Length / 2, stream.Length - 1 })
        {
            await LoadAsync(device, stream[..length], pieceBytes: 4096);
            foreach (var state in new[] { DeviceState.Stop, DeviceState.Running })
                await Assert.ThrowsAnyAsync<DeviceRefusedException>(async () => await device.SetStateAsync(state, default));
            await device.ResetAsync(default);
            Assert.Equal(DeviceState.Running, await device.GetStateAsync(default));
        }
        await ExpectUsableAsync(device, stream);
    }

    [Fact]
    public async Task A_corrupt_stream_leaves_only_the_reset()
    {
        byte[] stream = await SaveChangedAsync();
        var device = await MakeAsync();
        foreach (int at in CheckedBytes(stream.Length))
        {
            byte[] corrupt = [.. stream];
            corrupt[at] ^= 0x40;
            var refused = await Record.ExceptionAsync(async () => await LoadAsync(device, corrupt, pieceBytes: 4096));
            if (refused is not null)
            {
                Assert.IsAssignableFrom<DeviceRefusedException>(refused);
                await Assert.ThrowsAnyAsync<DeviceRefusedException>(
                    async () => await device.WriteDataAsync(stream.AsMemory(0, 1), default));
            }
            foreach (var state in new[] { DeviceState.Stop, DeviceState.Running })
                await Assert.ThrowsAnyAsync<DeviceRefusedException>(async () => await device.SetStateAsync(state, default));
            await device.ResetAsync(default);
        }
        await ExpectUsableAsync(device, stream);
    }

    [Fact]
    public async Task Refuses_bytes_behind_the_end_of_a_stream()
    {
        byte[] stream = await SaveChangedAsync();
        var device = await MakeAsync();
        await LoadAsync(device, stream, pieceBytes: 4096);
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(async () =>
        {
            await device.WriteDataAsync(new byte[64], default);
            await device.SetStateAsync(DeviceState.Stop, default);
        });
        await device.ResetAsync(default);
        await ExpectUsableAsync(device, stream);
    }

    [Fact]
    public async Task Logs_exactly_the_pages_its_DMA_changed()
    {
        const long bytes = (long)WindowPages * PageSizeBytes;
        using var file = Memfd.Create("contract", bytes);
        using var memory = MappedMemory.Map(file, 0, bytes);
        var device = await MakeAsync();
        await device.MapDmaAsync(Window(WindowStart, bytes) with { File = file }, default);
        await device.StartDirtyLogAsync(PageSizeBytes, default);
        byte[] before = memory.Span(0, (int)bytes).ToArray();
        if (!await StartDmaAsync(device, WindowStart, (ulong)bytes)) return;

        byte[] logged = new byte[WindowPages / 8];
        while (logged.AsSpan().IndexOfAnyExcept((byte)0) < 0)
            await device.ReportDirtyAsync(WindowStart, (ulong)bytes, logged, default);
        await device.SetStateAsync(DeviceState.Stop, default);
        // Between the last report and Stop the device went on.
        await device.ReportDirtyAsync(WindowStart, (ulong)bytes, logged, default);

        for (int page = 0; page < WindowPages; page++)
        {
            bool changed = !memory.Span((long)page * PageSizeBytes, PageSizeBytes)
                .SequenceEqual(before.AsSpan(page * PageSizeBytes, PageSizeBytes));
            bool dirty = (logged[page / 8] >> (page % 8) & 1) != 0;
            Assert.True(changed == dirty, $"page {page}: changed {changed}, logged {dirty}");
        }
        byte[] again = new byte[WindowPages / 8];
        await device.ReportDirtyAsync(WindowStart, (ulong)bytes, again, default);
        Assert.All(again, bits => Assert.Equal(0, bits));
    }

    [Fact]
    public async Task Maps_DMA_only_where_the_table_allows_it()
    {
        var capabilities = await ProbeAsync();
        using var file = Memfd.Create("contract", PageSizeBytes);
        var device = await MakeAsync();
        foreach (var state in Enum.GetValues<DeviceState>().Where(state => IsReachable(state, capabilities)))
        {
            await device.ResetAsync(default);
            await device.SetStateAsync(state, default);
            bool allowed = AllowedActions.Allows(BackEnd, state, DeviceAction.DmaMap);
            var failure = await Record.ExceptionAsync(
                async () => await device.MapDmaAsync(Window(WindowStart, PageSizeBytes) with { File = file }, default));
            Assert.True(allowed == failure is null, $"mapping in {state}: {failure?.Message ?? "was accepted"}");
            if (allowed) await device.UnmapDmaAsync(WindowStart, PageSizeBytes, default);
        }
    }

    [Fact]
    public async Task Refuses_windows_that_overlap_and_unmapping_of_what_is_not_mapped()
    {
        using var file = Memfd.Create("contract", 4 * PageSizeBytes);
        var device = await MakeAsync();
        await device.MapDmaAsync(Window(WindowStart, 4 * PageSizeBytes) with { File = file }, default);
        var inside = new Iova(WindowStart.Value + PageSizeBytes);
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(
            async () => await device.MapDmaAsync(Window(inside, PageSizeBytes) with { File = file }, default));
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(
            async () => await device.UnmapDmaAsync(inside, PageSizeBytes, default));
        await device.UnmapDmaAsync(WindowStart, 4 * PageSizeBytes, default);
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(
            async () => await device.UnmapDmaAsync(WindowStart, 4 * PageSizeBytes, default));
    }

    [Fact]
    public async Task Keeps_what_is_written_to_a_register()
    {
        var device = await MakeAsync();
        await WriteScratchAsync(device, 0x1122334455667788);
        Assert.Equal(0x1122334455667788ul & ulong.MaxValue >> (64 - 8 * ScratchBytes), await ReadScratchAsync(device));
    }

    [Fact]
    public async Task Refuses_access_outside_its_regions()
    {
        var device = await MakeAsync();
        var region = device.Shape.Regions.First(region => region.Index == Scratch.Region);
        byte[] bytes = new byte[8];
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(
            async () => await device.ReadRegionAsync(region.Index, region.SizeBytes - 4, bytes, default));
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(
            async () => await device.WriteRegionAsync(region.Index, ulong.MaxValue - 3, bytes, default));
        int absent = Enumerable.Range(0, 9).Except(device.Shape.Regions.Select(shape => shape.Index)).First();
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(
            async () => await device.ReadRegionAsync(absent, 0, bytes, default));
    }

    [Fact]
    public async Task A_reset_leads_from_every_state_to_Running_and_power_on_values()
    {
        var capabilities = await ProbeAsync();
        var device = await MakeAsync();
        ulong powerOn = await ReadScratchAsync(device);
        foreach (var state in Enum.GetValues<DeviceState>().Where(state => IsReachable(state, capabilities)))
        {
            await WriteScratchAsync(device, ~powerOn);
            await device.SetStateAsync(state, default);
            await device.ResetAsync(default);
            Assert.Equal(DeviceState.Running, await device.GetStateAsync(default));
            if (ResetClearsRegisters) Assert.Equal(powerOn, await ReadScratchAsync(device));
        }
    }

    [Fact]
    public async Task Takes_interrupts_where_it_has_them_and_refuses_them_elsewhere()
    {
        var device = await MakeAsync();
        using var eventFd = EventFd.Create();
        foreach (var interrupt in device.Shape.Interrupts)
        {
            await device.SetInterruptsAsync(interrupt.Index, [eventFd], default);
            await device.SetInterruptsAsync(interrupt.Index, [], default);
        }
        if (device.Shape.Interrupts is not [var some, ..]) return;
        var tooMany = Enumerable.Repeat(eventFd, some.Count + 1).ToArray();
        await Assert.ThrowsAnyAsync<DeviceRefusedException>(
            async () => await device.SetInterruptsAsync(some.Index, tooMany, default));
        await device.SetStateAsync(DeviceState.Stop, default);
        var stopped = await Record.ExceptionAsync(async () => await device.SetInterruptsAsync(some.Index, [eventFd], default));
        Assert.Equal(AllowedActions.Allows(BackEnd, DeviceState.Stop, DeviceAction.InterruptSetup), stopped is null);
        if (stopped is not null) Assert.IsAssignableFrom<DeviceRefusedException>(stopped);
    }

    protected async Task<IMigratableDevice> MakeAsync()
    {
        var device = await CreateAsync();
        _made.Add(device);
        return device;
    }

    /// <summary>Stops the device and reads the rest of its stream.</summary>
    protected static async Task<byte[]> SaveAsync(IMigratableDevice device)
    {
        await device.SetStateAsync(DeviceState.StopCopy, default);
        using var stream = new MemoryStream();
        await DrainAsync(device, stream);
        await device.SetStateAsync(DeviceState.Stop, default);
        return stream.ToArray();
    }

    private static async Task LoadAsync(IMigratableDevice device, byte[] stream, int pieceBytes)
    {
        await device.SetStateAsync(DeviceState.Resuming, default);
        for (int at = 0; at < stream.Length; at += pieceBytes)
            await device.WriteDataAsync(stream.AsMemory(at, Math.Min(pieceBytes, stream.Length - at)), default);
    }

    private static async Task DrainAsync(IMigratableDevice device, MemoryStream into)
    {
        byte[] buffer = new byte[10_000];
        for (int read; (read = await device.ReadDataAsync(buffer, default)) > 0;) into.Write(buffer, 0, read);
    }

    private async Task<byte[]> SaveChangedAsync()
    {
        var source = await MakeAsync();
        await ChangeAsync(source, 5);
        return await SaveAsync(source);
    }

    private static async Task ExpectUsableAsync(IMigratableDevice device, byte[] stream)
    {
        await LoadAsync(device, stream, pieceBytes: 4096);
        await device.SetStateAsync(DeviceState.Stop, default);
        await device.SetStateAsync(DeviceState.Running, default);
    }

    private async Task<MigrationCapabilities> ProbeAsync()
    {
        var capabilities = await (await MakeAsync()).ProbeMigrationAsync(default);
        Assert.True(capabilities.HasFlag(MigrationCapabilities.StopCopy));
        return capabilities;
    }

    private static bool IsReachable(DeviceState state, MigrationCapabilities capabilities) =>
        DeviceArcs.Next(DeviceState.Running, state, capabilities) is not null;

    private static DmaWindow Window(Iova start, long bytes) =>
        new(start, (ulong)bytes, Readable: true, Writable: true, File: null, FileOffset: 0, Target: null);

    private async Task<ulong> ReadScratchAsync(IMigratableDevice device)
    {
        byte[] bytes = new byte[8];
        await device.ReadRegionAsync(Scratch.Region, Scratch.Offset, bytes.AsMemory(0, ScratchBytes), default);
        return BitConverter.ToUInt64(bytes);
    }

    private async Task WriteScratchAsync(IMigratableDevice device, ulong value) =>
        await device.WriteRegionAsync(Scratch.Region, Scratch.Offset, BitConverter.GetBytes(value).AsMemory(0, ScratchBytes), default);
}
