using System.Text;
using MigrationCluster.Api;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Native;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Guests;

/// <summary>Whether this host can take a guest, and what its process is launched with.</summary>
public static class GuestAdmission
{
    public const string MemoryCode = "destination.memory";
    public const string TemplateCode = "destination.template";
    public const string PathCode = "destination.socket-path";
    public const string ConfigurationCode = "destination.configuration";
    private const ulong Seed = 0x6d63;

    /// <param name="configuration">of the guest's running devices, where it comes from another host; null: the templates' own.</param>
    /// <returns>every reason why not, the spec's own included; empty: it can.</returns>
    public static IReadOnlyList<Reason> Check(
        SpecDraft draft, HostName host, NodeConfig config, int freeMiB, DataDirectory data,
        IReadOnlyList<DeviceConfiguration>? configuration = null)
    {
        var reasons = draft.Reasons.ToList();
        if (draft.MemoryMiB is { } memory && memory > freeMiB)
            reasons.Add(new Reason(
                MemoryCode, $"guest memory of {memory} MiB does not fit into the {freeMiB} MiB free on {host}",
                $"free memory on {host}, choose another host, or raise memoryMiB in its configuration ({config.MemoryMiB} now)"));
        foreach (var device in draft.Devices)
        {
            if (device.Template is { } template && !config.Templates.ContainsKey(template))
                reasons.Add(new Reason(
                    TemplateCode, $"{device.Path}: template '{template}' is unknown on {host}",
                    $"choose one of {Known(config)}, or add it to {host}'s configuration",
                    device.Name, template, "none", ReasonSides.Destination));
            else if (device.Template is { } allowed && Find(configuration, device.Name) is { } given
                && config.Templates[allowed] is { Model: not null } made && Problem(made, given) is { } problem)
                reasons.Add(new Reason(
                    ConfigurationCode, $"{device.Path}: {host} cannot create device '{device.Name}' as it is on its source: {problem}",
                    $"choose a host whose template '{allowed}' allows it, or give the guest's device other values when it next starts",
                    device.Name, Side: ReasonSides.Destination));
            if (draft.Name is { } guest && device.Name is { } name && Excess(data, guest, name) is > 0 and var excess)
                reasons.Add(new Reason(
                    PathCode, $"{device.Path}: the socket path of device '{name}' on {host} is {excess} bytes too long",
                    "choose shorter names for guest and device, or give the node a shorter --data-dir"));
        }

        return reasons;
    }

    /// <summary>Resolves the templates of a spec that was admitted.</summary>
    public static LaunchSpec Resolve(
        GuestSpec spec, NodeConfig config, Fence fence, bool incoming, IReadOnlyList<DeviceConfiguration>? configuration = null) => new(
        spec.Name, incoming, fence.Epoch.Value, fence.Term.Value, spec.MemoryMiB,
        new LaunchVcpus(spec.Vcpus.Count, spec.Vcpus.Pattern, spec.Vcpus.DirtyRateMiBps, Seed),
        [.. spec.Devices.Select(device => Resolve(device, config.Templates[device.Template], Find(configuration, device.Name)))],
        SilenceSeconds: config.SilenceSeconds);

    /// <summary>A device that comes from another host is made with the values it has there, so no version of it is expanded again; model
    /// and command are this host's own, always. A command and the kernel take no values: whether their device fits is that device's to say at save_setup.</summary>
    private static LaunchDevice Resolve(DeviceSpec device, DeviceTemplate template, DeviceConfiguration? source) => template.Vfio is { } kernel
        ? new(device.Name, null, DeviceTemplate.NoParameters, device.PeerToPeer ?? [], PeerToPeerRemovable: device.PeerToPeerRemovable,
            Vfio: new LaunchKernelDevice(kernel.Device ?? Guid.NewGuid().ToString(), kernel.Type, kernel.Parent))
        : template.Command is not null
        ? new(device.Name, null, DeviceTemplate.NoParameters, device.PeerToPeer ?? [], Command: template.Command,
            PeerToPeerRemovable: device.PeerToPeerRemovable)
        : new(
            device.Name, template.Model, source?.Parameters ?? template.Parameters ?? DeviceTemplate.NoParameters,
            device.PeerToPeer ?? [], source is null ? template.Version : null, PeerToPeerRemovable: device.PeerToPeerRemovable);

    private static DeviceConfiguration? Find(IReadOnlyList<DeviceConfiguration>? configuration, string? device) =>
        configuration?.FirstOrDefault(given => given.Device == device);

    private static string? Problem(DeviceTemplate template, DeviceConfiguration given) =>
        DeviceTemplates.Problem(template.Model, null, given.Parameters, null);

    private static int Excess(DataDirectory data, string guest, string device)
    {
        string directory = data.Guest(new GuestName(guest));
        string endpoint = Path.Combine(directory, GuestFiles.Endpoint(new DeviceName(device)));
        return Encoding.UTF8.GetByteCount(endpoint) - UnixSocketPath.MaxBytes;
    }

    private static string Known(NodeConfig config) =>
        config.Templates.Count == 0 ? "none (its configuration has no templates)" : string.Join(", ", config.Templates.Keys.Order());
}
