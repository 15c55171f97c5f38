using MigrationCluster.Chaos.Cluster.Matrix;
using MigrationCluster.Devices.Faults;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>What a device server does wrong because it is told to (<see cref="FaultyDevice"/>): all that a process from outside cannot make it do.</summary>
internal abstract class OrderedDeviceFault : GuestFault
{
    private static readonly Lock Orders = new();

    protected abstract string Order { get; }

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        string guest = strike["target"];
        if (HostOf(cluster, strike) is not { } host || cluster.Files(host, guest).Servers is not { Count: > 0 } servers) return;
        if (CostsADevice) cluster.Sacrificed[guest] = Name;
        string file = cluster.DeviceOrders(host);
        string line = FaultyDevice.Order(guest, servers.Keys.Order(StringComparer.Ordinal).ElementAt(Pick(strike) % servers.Count), Order);
        Change(file, lines => [.. lines, line]);
        await HoldAsync(strike, healing);
        Change(file, lines => lines.Where(other => other != line));
    }

    /// <summary>Moved to its place whole: it is read at any time.</summary>
    private static void Change(string file, Func<string[], IEnumerable<string>> change)
    {
        lock (Orders)
        {
            File.WriteAllLines(file + ".new", change(File.Exists(file) ? File.ReadAllLines(file) : []));
            File.Move(file + ".new", file, overwrite: true);
        }
    }
}

internal sealed class ErrorDevice : OrderedDeviceFault
{
    public override string Name => "error-device";

    public override string Help => "a device's next change of state fails and leaves it in Error: target, pick of host and device, seconds in which it may come";

    protected override string Order => FaultyDevice.Error;

    public override bool CostsADevice => true;
}

internal sealed class RefusingDevice : OrderedDeviceFault
{
    public override string Name => "refuse-device";

    public override string Help => "a device refuses to change its state, and stays where it is: target, pick of host and device, seconds";

    protected override string Order => FaultyDevice.Refuse;

    public override bool CostsADevice => true;
}

internal sealed class GarbageDevice : OrderedDeviceFault
{
    public override string Name => "garbage-device";

    public override string Help => "the state that is read from a device is garbage: target, pick of host and device, seconds";

    protected override string Order => FaultyDevice.Garbage;
}

internal sealed class FailingLoad : OrderedDeviceFault
{
    public override string Name => "fail-load";

    public override string Help => "a device refuses the state that is loaded into it: target, pick of host and device, seconds";

    protected override string Order => FaultyDevice.FailLoad;

    /// <summary>Where it makes sense: at a destination.</summary>
    public override SortedDictionary<string, string>? At(Scene scene) => scene.Host == scene.Source ? null : base.At(scene);
}

internal sealed class TruncatedLoad : OrderedDeviceFault
{
    public override string Name => "truncate-load";

    public override string Help => "most of the state that is loaded into a device does not get there: target, pick of host and device, seconds";

    protected override string Order => FaultyDevice.TruncateLoad;

    public override SortedDictionary<string, string>? At(Scene scene) => scene.Host == scene.Source ? null : base.At(scene);
}

/// <summary>A relay that gets an answer to nothing gives the device up.</summary>
internal sealed class TwiceDevice : OrderedDeviceFault
{
    public override string Name => "twice-device";

    public override string Help => "a device answers twice: target, pick of host and device, seconds";

    protected override string Order => FaultyDevice.Twice;

    public override bool CostsADevice => true;
}
