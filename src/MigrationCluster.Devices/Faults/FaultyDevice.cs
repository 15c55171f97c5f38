using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Faults;

/// <summary>
/// A device, emulated or the kernel's, that can be made to misbehave, so that recovery is shown with real processes. What it is to do it
/// looks up before everything it is asked, in a file of a line a device and fault: <c>GUEST/DEVICE FAULT</c>.
///
/// <code>
///   error           its next change of state fails, and it is in Error until it is reset
///   refuse          it refuses to change its state, and stays where it is
///   garbage         state bytes that are read from it are not those it has
///   fail-load       it refuses state bytes that are written to it
///   truncate-load   state bytes behind the first 32 do not get to it
///   twice           it answers every message twice
/// </code>
/// A fault that acts says so in the log, once each time it is ordered. Where the file is absent the device is as it always is.
/// </summary>
/// <param name="file">of orders.</param>
/// <param name="guest">the guest's name.</param>
/// <param name="name">the device's name in the guest.</param>
public sealed class FaultyDevice(IMigratableDevice device, string file, string guest, string name, Action<string> log)
    : IMigratableDevice, IDescribedDevice
{
    /// <summary>The environment variable that holds the file's path.</summary>
    public const string Variable = "MC_DEVICE_FAULTS";

    public const string Error = "error";
    public const string Refuse = "refuse";
    public const string Garbage = "garbage";
    public const string FailLoad = "fail-load";
    public const string TruncateLoad = "truncate-load";
    public const string Twice = "twice";

    private const int WholeBytes = 32;

    private readonly string _who = $"{guest}/{name}";
    private readonly HashSet<string> _acted = [];
    private volatile bool _inError;
    private long _loaded;

    /// <summary>The line that orders a fault.</summary>
    public static string Order(string guest, string device, string fault) => $"{guest}/{device} {fault}";

    /// <summary>Whether each of its answers is to be sent twice.</summary>
    public bool AnswersTwice => IsOrdered(Twice);

    public DeviceShape Shape => device.Shape;

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken) =>
        device.ProbeMigrationAsync(cancellationToken);

    public ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken) =>
        _inError ? new(DeviceState.Error) : device.GetStateAsync(cancellationToken);

    public ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        if (IsOrdered(Error)) _inError = true;
        if (_inError) throw Refusal($"it is in Error and does not go to {target}");
        if (IsOrdered(Refuse)) throw Refusal($"it does not go to {target}");
        if (target == DeviceState.Resuming) _loaded = 0;
        return device.SetStateAsync(target, cancellationToken);
    }

    public async ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        RequireWorking();
        int read = await device.ReadDataAsync(buffer, cancellationToken);
        if (read > 0 && IsOrdered(Garbage))
            foreach (ref byte value in buffer.Span[..read]) value ^= 0xa5;
        return read;
    }

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        RequireWorking();
        if (IsOrdered(FailLoad)) throw Refusal("it refuses its state");
        long room = WholeBytes - _loaded;
        _loaded += data.Length;
        return data.Length > room && IsOrdered(TruncateLoad)
            ? device.WriteDataAsync(data[..(int)Math.Max(room, 0)], cancellationToken)
            : device.WriteDataAsync(data, cancellationToken);
    }

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken) => device.GetPreCopyBytesAsync(cancellationToken);

    public ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken) =>
        device.StartDirtyLogAsync(pageSizeBytes, cancellationToken);

    public ValueTask StopDirtyLogAsync(CancellationToken cancellationToken) => device.StopDirtyLogAsync(cancellationToken);

    public ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken) =>
        device.ReportDirtyAsync(start, sizeBytes, bitmap, cancellationToken);

    public ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken) =>
        device.ReadRegionAsync(region, offset, destination, cancellationToken);

    public ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken) =>
        device.WriteRegionAsync(region, offset, source, cancellationToken);

    public ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken) => device.MapDmaAsync(window, cancellationToken);

    public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken) =>
        device.UnmapDmaAsync(start, sizeBytes, cancellationToken);

    public ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken) =>
        device.SetInterruptsAsync(index, eventFds, cancellationToken);

    public async ValueTask ResetAsync(CancellationToken cancellationToken)
    {
        await device.ResetAsync(cancellationToken);
        _inError = false;
    }

    public ValueTask<DeviceDescriptor> DescribeAsync(CancellationToken cancellationToken) => Described.DescribeAsync(cancellationToken);

    public ValueTask CheckVersionAsync(string version, CancellationToken cancellationToken) =>
        Described.CheckVersionAsync(version, cancellationToken);

    public ValueTask DisposeAsync() => device.DisposeAsync();

    private IDescribedDevice Described =>
        device as IDescribedDevice ?? throw new DeviceRefusedException("the device does not say what it is", Errno.EOPNOTSUPP);

    private void RequireWorking()
    {
        if (_inError) throw Refusal("it is in Error");
    }

    private bool IsOrdered(string fault)
    {
        bool ordered;
        try
        {
            ordered = File.ReadLines(file).Contains($"{_who} {fault}");
        }
        catch (IOException)
        {
            ordered = false;
        }

        lock (_acted)
        {
            if (!ordered) _acted.Remove(fault);
            else if (_acted.Add(fault)) log($"fault ordered in {file}: {fault}");
        }

        return ordered;
    }

    private DeviceRefusedException Refusal(string what) => new($"{_who}: {what}, as {file} orders", Errno.EIO);
}
