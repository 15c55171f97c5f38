using MigrationCluster.Devices;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Tests.Processes;

/// <summary>A migration between two guest processes on this machine, through their endpoints alone, in the order a node keeps.</summary>
internal sealed class LocalMove(RunningGuest source, RunningGuest destination) : IDisposable
{
    private readonly MappedMemory[] _from = source.MapRam();
    private readonly MappedMemory[] _to = destination.MapRam();
    private readonly Dictionary<string, ulong> _offsets = source.All.ToDictionary(device => device.Name, _ => 0UL);
    private readonly byte[] _chunk = new byte[1 << 20];

    public long PagesCopied { get; private set; }

    /// <summary>As an operator may take it upon himself.</summary>
    public bool AcceptsUnknown { get; init; }

    /// <summary>Devices about which the destination could not say yes or no.</summary>
    public List<string> Unknown { get; } = [];

    /// <summary>Setup records, dirty logs, everybody into pre-copy and Resuming.</summary>
    public async Task OpenAsync()
    {
        foreach (var (name, device) in source.All)
        {
            var verdict = await Peer(name).CheckSetupAsync(await device.GetSetupRecordAsync(default), default);
            if (AcceptsUnknown && verdict is Unknown) Unknown.Add(name);
            else Assert.IsType<Compatible>(verdict);
        }
        foreach (var (_, device) in destination.All) await device.SetStateAsync(DeviceState.Resuming, default);
        foreach (var (_, device) in source.All) await device.StartDirtyLogAsync(4096, default);
        foreach (var (_, device) in source.All)
            if (Can(await device.ProbeMigrationAsync(default), MigrationCapabilities.PreCopy))
                await device.SetStateAsync(DeviceState.PreCopy, default);
        var all = new PageBitmap(source.Layout.PageCount);
        all.SetAll();
        Copy(all);
    }

    public async Task IterateAsync()
    {
        await CopyDirtyAsync();
        foreach (var (name, device) in source.Devices)
            if (await device.GetStateAsync(default) == DeviceState.PreCopy) await PumpAsync(name, device);
    }

    public async Task StopAsync()
    {
        await source.Machine.SetStateAsync(DeviceState.Stop, default);
        foreach (var (_, device) in source.All)
            if (Can(await device.ProbeMigrationAsync(default), MigrationCapabilities.P2P))
                await device.SetStateAsync(
                    await device.GetStateAsync(default) == DeviceState.PreCopy ? DeviceState.PreCopyP2P : DeviceState.RunningP2P, default);
        await Task.WhenAll(source.All.Select(device => device.Client.SetStateAsync(DeviceState.StopCopy, default).AsTask()));
    }

    public async Task FinishAsync()
    {
        await CopyDirtyAsync();
        foreach (var (name, device) in source.All) await PumpAsync(name, device);
        foreach (var (name, device) in source.All)
            Assert.Equal(await device.GetStreamDigestAsync(default), await Peer(name).GetStreamDigestAsync(default));
        foreach (var (_, device) in destination.All) await device.SetStateAsync(DeviceState.Stop, default);
        foreach (var (name, device) in source.All)
        {
            await device.SetStateAsync(DeviceState.Stop, default);
            Assert.Equal(await device.GetContentDigestAsync(default), await Peer(name).GetContentDigestAsync(default));
        }
    }

    public async Task SwitchAsync()
    {
        await destination.Machine.CastVoteAsync(Vote.Verified, "digest", default);
        await source.Machine.CastVoteAsync(Vote.Yielded, null, default);
        await destination.Machine.CastVoteAsync(Vote.Permit, null, default);
        await RunAsync(destination);
    }

    /// <summary>Stopped devices through the RunningP2P barrier to Running, then the machine.</summary>
    public static async Task RunAsync(RunningGuest guest)
    {
        foreach (var (_, device) in guest.Devices)
            if (Can(await device.ProbeMigrationAsync(default), MigrationCapabilities.P2P))
                await device.SetStateAsync(DeviceState.RunningP2P, default);
        foreach (var (_, device) in guest.Devices) await device.SetStateAsync(DeviceState.Running, default);
        await guest.Machine.SetStateAsync(DeviceState.Running, default);
    }

    public void Dispose()
    {
        foreach (var memory in _from.Concat(_to)) memory.Dispose();
    }

    private EndpointClient Peer(string name) => destination.All.First(device => device.Name == name).Client;

    private async Task CopyDirtyAsync()
    {
        var dirty = new PageBitmap(source.Layout.PageCount);
        var sequences = new List<(EndpointClient Device, ulong Sequence)>();
        foreach (var (_, device) in source.All) sequences.Add((device, await device.ReadDirtyAsync(dirty, default)));
        Copy(dirty);
        foreach (var (device, sequence) in sequences) await device.AckDirtyAsync(sequence, default);
    }

    private void Copy(PageBitmap pages)
    {
        for (long from = 0; pages.TryNextRun(from, long.MaxValue, out long first, out long count); from = first + count)
        {
            for (long page = first; page < first + count; page++)
            {
                int window = page >= source.Layout.FirstPageOf(1) ? 1 : 0;
                long offset = (page - source.Layout.FirstPageOf(window)) * 4096;
                _from[window].Span(offset, 4096).CopyTo(_to[window].Span(offset, 4096));
            }
            PagesCopied += count;
        }
    }

    private async Task PumpAsync(string name, EndpointClient device)
    {
        while (await device.ReadStreamAsync(_offsets[name], _chunk, default) is var read and > 0)
        {
            await Peer(name).WriteStreamAsync(_offsets[name], _chunk.AsMemory(0, read), default);
            _offsets[name] += (ulong)read;
            await device.AckStreamAsync(_offsets[name], default);
        }
    }

    private static bool Can(MigrationCapabilities capabilities, MigrationCapabilities wanted) => capabilities.HasFlag(wanted);
}
