using System.Reflection;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Invariants;

/// <summary>A device watched from outside: what is done to it is held against its state, whether or not the device minds.</summary>
public sealed class StateInvariantsTests
{
    [Fact]
    public async Task A_move_in_the_right_order_breaks_nothing()
    {
        await using var source = Create("net");
        await using var destination = Create("net");
        var (from, to) = (Recorder.Around(source), Recorder.Around(destination));
        using var eventFd = EventFd.Create();
        await from.SetInterruptsAsync(2, [eventFd], default);
        byte[] stream = await from.Save();
        await to.SetInterruptsAsync(2, [eventFd], default);
        await to.Load(stream);
        await to.SetStateAsync(DeviceState.Running, default);

        Assert.NotEmpty(Recorder.Of(to));
        Assert.Empty(StateInvariants.Check(BackEnd.VfioUser, Recorder.Of(from).Concat(Recorder.Of(to))));
    }

    /// <summary>Planted: interrupts are set up as soon as the state is loaded. The kernel wants that, libvfio-user forbids it.</summary>
    [Fact]
    public async Task Interrupts_set_up_in_a_state_that_forbids_them_are_told_by_the_table_of_the_back_end()
    {
        await using var source = Create("net");
        await using var destination = Create("net");
        byte[] stream = await source.Save();
        var to = Recorder.Around(destination, minds: false);
        using var eventFd = EventFd.Create();
        await to.Load(stream);
        await to.SetInterruptsAsync(2, [eventFd], default);

        var violation = Assert.Single(StateInvariants.Check(BackEnd.VfioUser, Recorder.Of(to)));
        Assert.Equal(("AllowedInState", "net0 allows no InterruptSetup in Stop"), (violation.Invariant, violation.Detail));
        Assert.Empty(StateInvariants.Check(BackEnd.Kernel, Recorder.Of(to)));
    }

    /// <summary>Written by the runtime around any interface: every call that is an action is noted with the state it came in.</summary>
    public class Recorder : DispatchProxy
    {
        private readonly List<ObservedAction> _observed = [];
        private IMigratableDevice _device = null!;
        private bool _minds;

        /// <param name="minds">false: as a server that sets interrupts up in any state.</param>
        public static IMigratableDevice Around(IMigratableDevice device, bool minds = true)
        {
            var proxy = Create<IMigratableDevice, Recorder>();
            (((Recorder)proxy)._device, ((Recorder)proxy)._minds) = (device, minds);
            return proxy;
        }

        public static IReadOnlyList<ObservedAction> Of(IMigratableDevice proxy) => ((Recorder)proxy)._observed;

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            DeviceAction? action = targetMethod!.Name switch
            {
                nameof(IMigratableDevice.SetInterruptsAsync) => DeviceAction.InterruptSetup,
                nameof(IMigratableDevice.ReadDataAsync) => DeviceAction.DataRead,
                nameof(IMigratableDevice.WriteDataAsync) => DeviceAction.DataWrite,
                nameof(IMigratableDevice.ReadRegionAsync) or nameof(IMigratableDevice.WriteRegionAsync) => DeviceAction.RegisterAccess,
                _ => null,
            };
            if (action is { } done)
                _observed.Add(new ObservedAction("net0", _device.GetStateAsync(default).AsTask().GetAwaiter().GetResult(), done));
            return action == DeviceAction.InterruptSetup && !_minds ? ValueTask.CompletedTask : targetMethod.Invoke(_device, args);
        }
    }
}
