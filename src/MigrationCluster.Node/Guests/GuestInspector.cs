using System.Buffers.Binary;
using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Guests;

/// <summary>Asks a guest process how it is, in sessions that are bound to no fence: they may look, not touch.</summary>
public sealed class GuestInspector(NodeConfig config)
{
    private readonly VfioUserClientOptions _quick = new() { CommandLimit = config.Silence, TwinSocket = false };

    /// <summary>Never throws for a guest that does not answer: it says so.</summary>
    public async Task<HostedGuestState> LookAsync(HostedGuest guest, CancellationToken cancellationToken)
    {
        var groups = PeerToPeerGroups.Of(guest.Spec.Devices.Select(device => (device.Name, device.PeerToPeer)));
        var devices = await Task.WhenAll(guest.Spec.Devices.Select(async device =>
        {
            var name = new DeviceName(device.Name);
            return new HostedDeviceState(
                name, device.Kind, await DeviceStateAsync(guest, name, cancellationToken), groups[device.Name]);
        }));
        try
        {
            await using var machine = await MachineEndpointClient.ConnectAsync(
                guest.Endpoint(DeviceName.Machine), _quick, cancellationToken);
            ulong isolated = await IsolatedAsync(machine, cancellationToken);
            return new HostedGuestState(
                guest.Name, guest.Spec.MemoryMiB, guest.Spec.Incoming, await machine.ReadFenceAsync(cancellationToken),
                await machine.GetStateAsync(cancellationToken),
                [.. devices.Select((device, slot) => device with { Isolated = (isolated >> slot & 1) != 0 })], null,
                guest.Spec.Owner?.Migration);
        }
        catch (Exception error) when (error is DeviceRefusedException or DeviceLostException)
        {
            return new HostedGuestState(
                guest.Name, guest.Spec.MemoryMiB, guest.Spec.Incoming, null, null, devices, error.Message, guest.Spec.Owner?.Migration);
        }
    }

    private static async Task<ulong> IsolatedAsync(MachineEndpointClient machine, CancellationToken cancellationToken)
    {
        byte[] register = new byte[sizeof(ulong)];
        await machine.ReadRegionAsync(MachineRegisters.Region, MachineRegisters.IsolatedDevices, register, cancellationToken);
        return BinaryPrimitives.ReadUInt64LittleEndian(register);
    }

    /// <summary>Reads every device's setup record, all at the same time. Never throws for a device that does not answer.</summary>
    public async Task<GuestSetup> ReadSetupAsync(HostedGuest guest, CancellationToken cancellationToken)
    {
        var answers = await Task.WhenAll(guest.Spec.Devices.Select(device => device.Name).Append(DeviceName.Machine.Value)
            .Select(name => RecordAsync(guest, new DeviceName(name), cancellationToken)));
        return new GuestSetup(
            [.. answers.Select(answer => answer.Record).OfType<SetupRecord>()],
            [.. answers.Select(answer => answer.Refusal).OfType<Refusal>()]);
    }

    private async Task<(SetupRecord? Record, Refusal? Refusal)> RecordAsync(
        HostedGuest guest, DeviceName device, CancellationToken cancellationToken)
    {
        try
        {
            await using var endpoint = await EndpointClient.ConnectAsync(guest.Endpoint(device), _quick, cancellationToken);
            return (await endpoint.GetSetupRecordAsync(cancellationToken), null);
        }
        catch (Exception error) when (error is DeviceRefusedException or DeviceLostException)
        {
            return (null, new Refusal(
                "device.no-setup-record", $"{device}: the running device does not say what it is: {error.Message}",
                "look at the guest with `migctl guest show`; a device that does not answer cannot be migrated",
                device.Value, Side: CompatibilitySide.Source));
        }
    }

    private async Task<DeviceState?> DeviceStateAsync(
        HostedGuest guest, DeviceName device, CancellationToken cancellationToken)
    {
        try
        {
            await using var endpoint = await EndpointClient.ConnectAsync(guest.Endpoint(device), _quick, cancellationToken);
            return await endpoint.GetStateAsync(cancellationToken);
        }
        catch (Exception error) when (error is DeviceRefusedException or DeviceLostException)
        {
            return null;
        }
    }
}
