using MigrationCluster.Devices;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Guest.Vcpus;

namespace MigrationCluster.Guest.Machine;

/// <summary>The guest's machine: vCPUs and the drivers they run, paused and resumed together, and the self-check.</summary>
internal sealed class GuestMachine : IAsyncDisposable
{
    private readonly CancellationTokenSource _end = new();
    private Task _checking = Task.CompletedTask;
    private ulong _checkRequested;

    public GuestMachine(IReadOnlyList<Vcpu> vcpus, IReadOnlyList<DeviceDriver> drivers, VcpuDirtyLog dirty)
    {
        Vcpus = vcpus;
        Drivers = drivers;
        Dirty = dirty;
    }

    public IReadOnlyList<Vcpu> Vcpus { get; }

    public IReadOnlyList<DeviceDriver> Drivers { get; }

    public VcpuDirtyLog Dirty { get; }

    public ulong CheckDone { get; private set; }

    public ulong CheckPages { get; private set; }

    public ulong CheckWrong { get; private set; }

    /// <summary>Stamps RAM and sets the devices up, as firmware and drivers do at guest start.</summary>
    public async Task BootAsync()
    {
        await Task.WhenAll(
            Task.WhenAll(Vcpus.Select(vcpu => Task.Run(vcpu.Prefill))),
            Task.WhenAll(Drivers.OrderBy(driver => driver is NetDriver).Select(driver => driver.SetUpAsync())));
    }

    /// <summary>When it returns, no page is written by a vCPU, no register is touched, and all stores are marked.</summary>
    public async Task PauseAsync()
    {
        var drivers = Task.WhenAll(Drivers.Select(driver => driver.PauseAsync()));
        foreach (var vcpu in Vcpus) vcpu.Pause();
        await drivers;
    }

    public void Resume()
    {
        foreach (var driver in Drivers) driver.Resume();
        foreach (var vcpu in Vcpus) vcpu.Resume();
    }

    /// <param name="percent">of their time in which vCPUs stand still.</param>
    public void Throttle(int percent)
    {
        foreach (var vcpu in Vcpus) vcpu.ThrottlePercent = percent;
    }

    public void StartDirtyLog()
    {
        Dirty.Start();
        foreach (var vcpu in Vcpus) vcpu.PassBatchBoundary();
    }

    /// <summary>Starts a self-check of all vCPUs' pages and all devices. One at a time; a later number waits for the
    /// earlier one's end.</summary>
    public void RequestCheck(ulong number)
    {
        lock (_end)
        {
            _checkRequested = number;
            if (_checking.IsCompleted) _checking = Task.Run(CheckUntilDoneAsync);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        foreach (var driver in Drivers) await driver.DisposeAsync();
        foreach (var vcpu in Vcpus) vcpu.Dispose();
        _end.Dispose();
    }

    private async Task CheckUntilDoneAsync()
    {
        while (true)
        {
            ulong number;
            lock (_end) number = _checkRequested;
            try
            {
                var results = await Task.WhenAll(
                [
                    .. Vcpus.Select(vcpu => vcpu.CheckAsync().WaitAsync(_end.Token)),
                    .. Drivers.Select(driver => driver.CheckAsync(_end.Token)),
                ]);
                CheckPages = (ulong)results.Sum(result => result.Pages);
                CheckWrong = (ulong)results.Sum(result => result.Wrong);
            }
            catch (DeviceRefusedException)
            {
                // A register that answers no in the middle of a check leaves it without a result: that is wrong too.
                CheckWrong = Math.Max(1, CheckWrong);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            lock (_end)
            {
                CheckDone = number;
                if (number == _checkRequested)
                {
                    _checking = Task.CompletedTask;
                    return;
                }
            }
        }
    }
}
