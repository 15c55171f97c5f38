using MigrationCluster.Api;
using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Guests;

/// <summary>
/// The devices of this host's kernel that guests have: reserved while a launch is under way, created for it where a template says a mediated
/// type, and removed when everything of the guest is dead.
/// </summary>
/// <remarks>launch.json names each before it is created, so whoever finds that file, in any life of the daemon, knows what to remove.
/// A device that existed before is never removed.</remarks>
internal static class KernelDevices
{
    public const string TypeCode = "destination.mediated-type";
    public const string DeviceCode = "destination.kernel-device";

    /// <param name="taken">kernel devices of guests that are here, those being launched included.</param>
    /// <returns>every reason why this host has no kernel device for one of the draft's.</returns>
    public static IEnumerable<Reason> Check(SpecDraft draft, HostName host, NodeConfig config, IReadOnlyList<LaunchKernelDevice> taken)
    {
        var wanted = draft.Devices.Where(device => device.Template is not null)
            .Select(device => (Device: device, config.Templates.GetValueOrDefault(device.Template!)?.Vfio)).Where(entry => entry.Vfio is not null).ToList();
        foreach (var device in wanted.Where(entry => entry.Vfio!.Device is not null).GroupBy(entry => entry.Vfio!.Device!))
            if (device.Count() > 1 || taken.Any(other => other.Device == device.Key))
                foreach (var (spec, _) in device.Skip(taken.Any(other => other.Device == device.Key) ? 0 : 1))
                    yield return new Reason(
                        DeviceCode, $"{spec.Path}: kernel device {device.Key} on {host} is another's", "choose another template or host, or stop the guest that has it",
                        spec.Name, Side: ReasonSides.Destination);
        var sysfs = new MediatedDevices(config.Sysfs);
        foreach (var type in wanted.Where(entry => entry.Vfio!.Type is not null).GroupBy(entry => (Type: entry.Vfio!.Type!, entry.Vfio.Parent)))
        {
            int? available = sysfs.Available(type.Key.Type, type.Key.Parent);
            // What is being launched may not be created yet.
            int reserved = taken.Count(other => other.MediatedType == type.Key.Type
                && Guid.TryParse(other.Device, out var uuid) && !sysfs.Exists(uuid));
            if (available - reserved >= type.Count()) continue;
            string found = available is null ? $"no parent of mediated devices has the type {type.Key.Type}"
                : $"{type.Count()} devices of the mediated type {type.Key.Type} are needed, and {Math.Max(0, available.Value - reserved)} can be created";
            foreach (var (spec, _) in type)
                yield return new Reason(
                    TypeCode, $"{spec.Path}: on {host} {found}", "choose another host, stop a guest that has one, or load the type's driver",
                    spec.Name, Side: ReasonSides.Destination);
        }
    }

    public static IEnumerable<LaunchKernelDevice> Of(LaunchSpec spec) => spec.Devices.Select(device => device.Vfio).OfType<LaunchKernelDevice>();

    /// <exception cref="IOException">one could not be created: which, and why.</exception>
    public static void Create(LaunchSpec spec, string sysfs)
    {
        foreach (var device in Of(spec))
            if (device.MediatedType is { } type)
                new MediatedDevices(sysfs).Create(type, device.Parent, Guid.Parse(device.Device));
    }

    /// <summary>Removes what was created for a launch, all that can be.</summary>
    /// <exception cref="IOException">one could not be removed.</exception>
    public static void Remove(LaunchSpec spec, string sysfs)
    {
        IOException? failure = null;
        foreach (var device in Of(spec))
        {
            if (device.MediatedType is null || !Guid.TryParse(device.Device, out var uuid)) continue;
            try
            {
                new MediatedDevices(sysfs).Remove(uuid);
            }
            catch (IOException error)
            {
                failure = error;
            }
        }
        if (failure is not null) throw failure;
    }
}
