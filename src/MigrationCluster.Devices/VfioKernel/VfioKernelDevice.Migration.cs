using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>
/// Device state and the state stream. What the kernel would do wrong, or leave to chance, is kept here (docs/kernel-vfio.md):
///
/// <code>
///   STOP_COPY -> PRE_COPY*       never asked: some kernels spin for ever. Our own table refuses it
///   a failed SET                 may rest in any state between: GET says in which
///   data_fd -1                   the old data_fd goes on
///   0 or ENOMSG                  the end of the stream, in PRE_COPY "drained for now"
///   a failed write               the stream has moved on by an unknown part: only a reset
///   open                         closing resets nothing: GET, and reset unless Running
/// </code>
/// </summary>
public sealed partial class VfioKernelDevice
{
    private KernelFile? _data;
    private volatile DeviceState _state = DeviceState.Running;
    private ulong _written;
    private bool _loadFailed;

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken) => new(_capabilities);

    public ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken)
    {
        lock (_sync) return new(ReadState());
    }

    public ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            var from = ReadState();
            if (DeviceArcs.Next(from, target, _capabilities) is null) throw KernelRefusals.NoWay(Id, from, target);
            if (from == target) return ValueTask.CompletedTask;
            if (from == DeviceState.Resuming && _loadFailed) throw KernelRefusals.LoadFailed(Id, from);
            int result = VfioUapi.SetState(_device, target, out int data);
            if (result < 0)
            {
                var rests = ReadState();
                if (rests != from) EndSession(rests);
                throw KernelRefusals.ArcDenied(Id, from, target, rests, -result);
            }
            _state = target;
            if (data >= 0) BeginSession(target, data);
            else EndSession(target);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            Require(DeviceAction.DataRead, "reading state data");
            nint read = Data.Read(buffer.Span);
            return read >= 0 ? new((int)read)
                : read == -Errno.ENOMSG ? new(0)
                : throw KernelRefusals.ReadFailed(Id, ReadState(), (int)-read);
        }
    }

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            Require(DeviceAction.DataWrite, "writing state data");
            if (_loadFailed) throw KernelRefusals.LoadFailed(Id, _state);
            while (data.Length > 0)
            {
                nint took = Data.Write(data.Span);
                if (took <= 0)
                {
                    _loadFailed = true;
                    throw KernelRefusals.WriteFailed(Id, ReadState(), _written, took == 0 ? Errno.EIO : (int)-took);
                }
                _written += (ulong)took;
                data = data[(int)took..];
            }
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            if (_state is not (DeviceState.PreCopy or DeviceState.PreCopyP2P))
                throw KernelRefusals.NotIn(Id, _state, "counting pre-copy bytes", DeviceAction.DataRead);
            int result = VfioUapi.GetPreCopyInfo(Data, out var bytes);
            if (result >= 0) return new(bytes);
            return result == -Errno.ENOTTY ? new((PreCopyBytes?)null)
                : throw KernelRefusals.Call(Id, ReadState(), "MIG_GET_PRECOPY_INFO", -result);
        }
    }

    /// <summary>How long a stop-copy would be now, as the driver estimates it, in bytes.</summary>
    /// <returns>null: this driver or kernel does not tell.</returns>
    public ValueTask<ulong?> GetStopCopyBytesAsync(CancellationToken cancellationToken)
    {
        lock (_sync) return new(VfioUapi.GetDataSize(_device, out ulong bytes) >= 0 ? bytes : null);
    }

    /// <remarks>Some drivers leave registers as they are (mtty): what a reset gives for sure is Running, and the end of the session.</remarks>
    public ValueTask ResetAsync(CancellationToken cancellationToken)
    {
        lock (_sync) Reset();
        return ValueTask.CompletedTask;
    }

    private void Reset()
    {
        // Whatever its flag says: mtty has none and resets all the same, as every driver that migrates has to.
        int result = VfioUapi.Reset(_device);
        if (result < 0) throw KernelRefusals.Unsupported(Id, $"it is in {_state} and its driver does not reset it", -result);
        var state = ReadState();
        EndSession(state);
        _loadFailed = false;
        if (state != DeviceState.Running)
            throw new KernelRefusedException(
                KernelOutcome.Failed, Id, state, "a reset did not lead to Running", "Running", "take it out of service", Errno.EIO);
    }

    private void ReadCapabilities()
    {
        int result = VfioUapi.GetMigration(_device, out _capabilities);
        // Drivers without migration answer ENOTTY. A driver that says anything else is not trusted with a migration either.
        _log(result < 0 ? $"does not migrate ({Errno.Name(-result)})" : $"migrates: {_capabilities}");
        if (!_capabilities.HasFlag(MigrationCapabilities.StopCopy)) _capabilities = MigrationCapabilities.None;
        else Shape = Shape with { CanReset = true };
    }

    /// <summary>An owner that died may have left the device anywhere. Loading a device that still is Resuming from then is an oops on some kernels.</summary>
    private void ResetWhatWasLeft()
    {
        if (_capabilities == MigrationCapabilities.None) return;
        var left = ReadState();
        if (left == DeviceState.Running)
        {
            _log("state Running");
            return;
        }
        _log($"state {left}, left by an earlier owner: it is reset");
        Reset();
        _log("state Running after the reset");
    }

    private DeviceState ReadState()
    {
        if (_capabilities == MigrationCapabilities.None) return DeviceState.Running;
        int result = VfioUapi.GetState(_device, out var state);
        if (result < 0) throw KernelRefusals.Call(Id, null, "MIG_DEVICE_STATE", -result);
        if (!Enum.IsDefined(state)) throw KernelRefusals.Call(Id, null, $"MIG_DEVICE_STATE, which says {(uint)state},", Errno.EPROTO);
        return _state = state;
    }

    private void BeginSession(DeviceState state, int data)
    {
        _data?.Dispose();
        _data = _device.Wrap(data, $"data_fd of {Id} in {state}");
        _written = 0;
        _loadFailed = false;
    }

    private void EndSession(DeviceState state)
    {
        if (DeviceArcs.IsSaving(state) || state == DeviceState.Resuming) return;
        _data?.Dispose();
        _data = null;
    }

    private KernelFile Data => _data ?? throw new KernelRefusedException(
        KernelOutcome.SessionEnded, Id, _state, "there is no data_fd", "a session that this process began", "begin the save or the load anew", Errno.ENODEV);
}
