using MigrationCluster.Devices;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Machine;

/// <summary>What our extension adds: sessions, dirty pages until acknowledged, the stream by offset, votes, the deadline.</summary>
internal sealed partial class MachineEndpoint
{
    public async ValueTask BindAsync(GuestName guest, Fence fence, CancellationToken cancellationToken)
    {
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _fence.Bind(guest, fence);
        _bound = fence;
        // A higher epoch voids Yielded (the attempt was aborted): what is paused now waits for its owner's deadline again.
        if (_state != DeviceState.Running && _fence.Record.MayRun) _pauseWatch.OnPaused();
    }

    public ValueTask<SetupRecord> GetSetupRecordAsync(CancellationToken cancellationToken) => new(_setup);

    public ValueTask<Verdict> CheckSetupAsync(SetupRecord source, CancellationToken cancellationToken) =>
        new(SetupCheck.Judge(source, _setup, VersionAnswer.NotAsked, HandlerChain.Default));

    public async ValueTask<ulong> ReadDirtyAsync(PageBitmap pages, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _pending.Check(pages);
        _machine.Dirty.Take(_pending.Pages);
        _readSincePaused = _state != DeviceState.Running;
        return _pending.Report(pages);
    }

    public async ValueTask AckDirtyAsync(ulong sequence, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _pending.Acknowledge(sequence);
    }

    public async ValueTask<int> ReadStreamAsync(ulong offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (_state is not (DeviceState.StopCopy or DeviceState.Stop) || _loading)
            throw new DeviceRefusedException($"the machine's registers are read in StopCopy, not in {_state}", Errno.EINVAL);
        if (offset > (ulong)_streamRead)
            throw new DeviceRefusedException($"{_streamRead} bytes were read so far; asked for {offset}", Errno.EINVAL);
        int count = Math.Min(buffer.Length, _stream.Length - (int)offset);
        _stream.AsSpan((int)offset, count).CopyTo(buffer.Span);
        _streamRead = Math.Max(_streamRead, (int)offset + count);
        return count;
    }

    public async ValueTask AckStreamAsync(ulong offset, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        // So short that nothing is ever released.
        if (offset > (ulong)_streamRead)
            throw new DeviceRefusedException($"{_streamRead} bytes were read so far; {offset} cannot be acknowledged", Errno.EINVAL);
    }

    public async ValueTask WriteStreamAsync(ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (_state != DeviceState.Resuming)
            throw new DeviceRefusedException($"the machine's registers are loaded in Resuming, not in {_state}", Errno.EINVAL);
        if (offset > (ulong)_stream.Length)
            throw new DeviceRefusedException($"{_stream.Length} bytes are accepted; bytes from {offset} on leave a gap", Errno.EINVAL);
        if (offset + (ulong)data.Length > MaxStreamBytes)
            throw new DeviceRefusedException($"a machine's state is shorter than {MaxStreamBytes} bytes", Errno.EINVAL);
        int known = _stream.Length - (int)offset;
        if (known < data.Length) _stream = [.. _stream, .. data.Span[known..]];
    }

    public async ValueTask<StreamDigest> GetStreamDigestAsync(CancellationToken cancellationToken)
    {
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        var covered = _loading ? _stream : _stream.AsMemory(0, _streamRead);
        return new StreamDigest((ulong)covered.Length, Crc32C.Compute(covered.Span));
    }

    public async ValueTask<ulong?> GetContentDigestAsync(CancellationToken cancellationToken)
    {
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (_state != DeviceState.Stop)
            throw new DeviceRefusedException($"the machine tells its content in Stop only, not in {_state}", Errno.EBUSY);
        return Crc32C.Compute(_stream);
    }

    public ValueTask<GuestMemoryLayout> GetMemoryLayoutAsync(CancellationToken cancellationToken) => new(_ram.Layout);

    public ValueTask<FenceRecord> ReadFenceAsync(CancellationToken cancellationToken) => new(_fence.Record);

    public async ValueTask<FenceRecord> CastVoteAsync(Vote vote, string? digest, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (vote is Vote.Yielded && _state == DeviceState.Running)
            throw new DeviceRefusedException("a running machine cannot be yielded: pause it first", Errno.EPERM);
        if (vote is Vote.Yielded) RequireGivenAway();
        if (vote is Vote.Verified) RequireLoaded();
        var record = _fence.Cast(vote, digest);
        if (record.Kept) _throttle.Lift();
        if (record.Yielded) _pauseWatch.Disarm();
        _log($"voted {vote}({record.Fence.Epoch})");
        return record;
    }

    /// <summary>What is yielded must stand still, and what it wrote last must have been read after that: a bitmap read before is not the
    /// last one.</summary>
    private void RequireGivenAway()
    {
        string? reason = _pending.IsOpen && !_readSincePaused
            ? "the machine's last dirty pages were not read since it was paused: what the vCPUs wrote until then is on no other host"
            : _relays.Select(relay => relay.WhyNotYielded()).FirstOrDefault(why => why is not null);
        if (reason is not null) throw new DeviceRefusedException(reason, Errno.EPERM);
    }

    /// <summary>Verified says that everything is loaded and stands in Stop; only what is so may say so.</summary>
    private void RequireLoaded()
    {
        if (_state != DeviceState.Stop || !_loading)
            throw new DeviceRefusedException($"the machine is in {_state} and not loaded", Errno.EPERM);
        if (_relays.FirstOrDefault(relay => relay.KnownState != DeviceState.Stop) is { } other)
            throw new DeviceRefusedException($"{other.Name} is in {other.KnownState}, not loaded and in Stop", Errno.EPERM);
    }

    public ValueTask SetPauseDeadlineAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        _pauseWatch.SetDeadline(deadline);
        return ValueTask.CompletedTask;
    }

    public async ValueTask ThrottleVcpusAsync(int percent, TimeSpan lease, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (_state != DeviceState.Running) return;
        if (_throttle.Set(percent, lease) != percent) _log($"vCPUs slowed by {percent} %");
    }

    public async ValueTask IsolateDeviceAsync(DeviceName device, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        await _links.IsolateAsync(device.Value);
    }

    public ValueTask ShutDownAsync(CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        _log("asked to shut down");
        _shutDown();
        return ValueTask.CompletedTask;
    }

    /// <summary>Paused for too long, and nobody came: the guest keeps itself, with no daemon at all.</summary>
    private async Task KeepAsync()
    {
        try
        {
            using var turn = await Turn.TakeAsync(_gate, CancellationToken.None);
            // An incoming machine is no one's to keep; a yielded one is not this process's any more.
            if (_state == DeviceState.Running || !_fence.Record.MayRun) return;
            _log("paused for longer than its deadline: keeping the guest");
            _fence.Cast(Vote.Kept, null);
            await ReturnDevicesAsync();
            if (_state == DeviceState.StopCopy) await TakeArcAsync(DeviceState.Stop, CancellationToken.None);
            await TakeArcAsync(DeviceState.Running, CancellationToken.None);
            _log("resumed");
        }
        catch (Exception e) when (e is IOException or DeviceRefusedException)
        {
            _log($"cannot resume after the pause deadline: {e.Message}");
        }
    }

    /// <summary>Every member P2P-quiet at least before any runs freely; who does not come back is left behind, so that none runs into it.</summary>
    private async Task ReturnDevicesAsync()
    {
        await BringAllAsync(DeviceState.RunningP2P);
        foreach (var relay in _relays.Where(relay => DeviceArcs.Has(DeviceState.RunningP2P, relay.Capabilities) && IsDown(relay)))
            await _links.IsolateAsync(relay.Name);
        await BringAllAsync(DeviceState.Running);
        foreach (var relay in _relays.Where(relay => FencedArc.IsStopped(relay.KnownState))) await _links.IsolateAsync(relay.Name);
    }

    private Task BringAllAsync(DeviceState target) => Task.WhenAll(_relays
        .Where(relay => !relay.IsIsolated && relay.KnownState is not (DeviceState.Error or DeviceState.Running)
            && DeviceArcs.Has(target, relay.Capabilities))
        .Select(relay => BringAsync(relay, target)));

    private static bool IsDown(DeviceRelay relay) => FencedArc.IsStopped(relay.KnownState) || relay.KnownState == DeviceState.Error;

    private async Task BringAsync(DeviceRelay relay, DeviceState target)
    {
        try
        {
            await relay.BringToAsync(target);
        }
        catch (Exception e) when (e is IOException)
        {
            // A device that fails now is in Error or lost; the guest goes on without it rather than not at all.
            _log($"{relay.Name} does not come back to {target}: {e.Message}");
        }
    }
}
