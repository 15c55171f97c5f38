using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Native;
using MigrationCluster.Guest.Relay;

namespace MigrationCluster.Guest.Vcpus;

/// <summary>
/// Guest software that drives one device: sets it up once at guest start, then writes registers, reads them back and
/// compares with what it remembers. A device that was moved without its state, or to a wrong one, shows here.
/// </summary>
/// <remarks>Its thread of control holds <see cref="_turn"/> for each step; pausing takes the turn and keeps it.</remarks>
internal abstract class DeviceDriver : IAsyncDisposable
{
    /// <summary>Two register operations, and the model's own, each step: about 50 to 100 a second.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(50);

    private readonly SemaphoreSlim _turn = new(0, 1);
    private readonly CancellationTokenSource _end = new();
    private readonly byte[] _value = new byte[8];
    private Task _loop = Task.CompletedTask;
    private bool _paused = true;
    private DriverRegisters _registers;

    protected DeviceDriver(DeviceRelay device, SafeFileHandle interrupts)
    {
        Device = device;
        InterruptFd = interrupts;
        _loop = Task.Run(RunAsync);
    }

    protected DeviceRelay Device { get; }

    /// <summary>Every vector of the device signals this one: it counts them all.</summary>
    public SafeFileHandle InterruptFd { get; }

    public string DeviceName => Device.Name;

    /// <summary>Of a paused driver only, if they are to hold together.</summary>
    public DriverRegisters Registers
    {
        get => _registers;
        set => _registers = value;
    }

    /// <summary>At guest start, before the machine runs; never again: afterwards the device's own state carries it.</summary>
    public async Task SetUpAsync()
    {
        await Device.WriteRegionAsync(
            DeviceRegisters.ConfigSpace, DeviceRegisters.PciCommand, BitConverter.GetBytes(DeviceRegisters.PciBusMaster), default);
        await SetUpModelAsync();
    }

    /// <summary>When it returns, no operation is under way and none starts.</summary>
    public async Task PauseAsync()
    {
        if (_paused) return;
        await _turn.WaitAsync();
        _paused = true;
    }

    public void Resume()
    {
        if (!_paused) return;
        _paused = false;
        _turn.Release();
    }

    /// <summary>Takes the interrupts that have arrived.</summary>
    public void TakeInterrupts() => _registers.Interrupts += EventFd.Take(InterruptFd);

    /// <summary>Compares what the device says it did with what is there. The machine runs.</summary>
    public async Task<CheckResult> CheckAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (!Device.TakesGuestAccess) return default;
            return await CheckDeviceAsync();
        }
        catch (DeviceLostException)
        {
            return default;
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _loop;
        _end.Dispose();
        InterruptFd.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>The device's part of a check: of one of our models, its own and its count of interrupts.</summary>
    protected virtual async Task<CheckResult> CheckDeviceAsync()
    {
        var result = await CheckModelAsync();
        // Signalled before the register was read, so taken by the second look at the latest.
        TakeInterrupts();
        ulong before = _registers.Interrupts;
        ulong raised = await ReadAsync(DeviceRegisters.Interrupts);
        TakeInterrupts();
        bool counted = before <= raised && raised <= _registers.Interrupts;
        return counted ? result : result with { Wrong = result.Wrong + 1 };
    }

    /// <summary>The device's part of a step: of one of our models, the registers that all of them have, and its own.</summary>
    protected virtual async Task StepDeviceAsync(ulong step)
    {
        if (step > 0) await ExpectAsync(DeviceRegisters.Scratch, PageStamp.Mix(step, 1));
        await WriteAsync(DeviceRegisters.Scratch, PageStamp.Mix(step + 1, 1));
        _registers.Step = step + 1;
        await StepModelAsync(step);
        ulong errors = await ReadAsync(DeviceRegisters.Errors);
        if (errors != _registers.DeviceErrors) _registers.Errors++;
        _registers.DeviceErrors = errors;
    }

    protected abstract Task SetUpModelAsync();

    /// <summary>The model's own part of a step.</summary>
    protected virtual Task StepModelAsync(ulong step) => Task.CompletedTask;

    protected virtual Task<CheckResult> CheckModelAsync() => Task.FromResult(default(CheckResult));

    protected void CountError() => _registers.Errors++;

    protected void EndStep(ulong step) => _registers.Step = step;

    protected async Task<byte> ReadByteAsync(int region, ulong offset)
    {
        _registers.Operations++;
        await Device.ReadRegionAsync(region, offset, _value.AsMemory(0, 1), default);
        return _value[0];
    }

    protected async Task WriteByteAsync(int region, ulong offset, byte value)
    {
        _registers.Operations++;
        _value[0] = value;
        await Device.WriteRegionAsync(region, offset, _value.AsMemory(0, 1), default);
    }

    protected async Task<ulong> ReadAsync(ulong register)
    {
        _registers.Operations++;
        await Device.ReadRegionAsync(DeviceRegisters.Bar, register, _value, default);
        return BitConverter.ToUInt64(_value);
    }

    protected async Task WriteAsync(ulong register, ulong value)
    {
        _registers.Operations++;
        BitConverter.TryWriteBytes(_value, value);
        await Device.WriteRegionAsync(DeviceRegisters.Bar, register, _value, default);
    }

    protected async Task ExpectAsync(ulong register, ulong expected)
    {
        if (await ReadAsync(register) != expected) _registers.Errors++;
    }

    private async Task RunAsync()
    {
        using var timer = new PeriodicTimer(Pace);
        try
        {
            while (await timer.WaitForNextTickAsync(_end.Token))
            {
                await _turn.WaitAsync(_end.Token);
                try
                {
                    TakeInterrupts();
                    if (Device.TakesGuestAccess) await StepAsync();
                }
                finally
                {
                    _turn.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The guest ends.
        }
        catch (DeviceLostException)
        {
            // The device server is gone: the relay says Error, and the guest goes on without this device.
        }
    }

    private async Task StepAsync()
    {
        try
        {
            await StepDeviceAsync(_registers.Step);
        }
        catch (DeviceRefusedException)
        {
            _registers.Errors++;
        }
    }
}
