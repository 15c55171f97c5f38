using System.Buffers.Binary;
using MigrationCluster.Api;
using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Guests;

/// <summary>Has a guest's own vCPUs check all of its RAM, through the machine's registers.</summary>
public static class SelfCheck
{
    /// <summary>A check reads all of guest RAM beside the guest's work.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(10);

    /// <exception cref="DeviceRefusedException">the machine does not run.</exception>
    /// <exception cref="DeviceLostException">the guest does not answer, or not in time.</exception>
    public static async Task<SelfCheckView> RunAsync(HostedGuest guest, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var machine = await MachineEndpointClient.ConnectAsync(
            guest.Endpoint(DeviceName.Machine), null, cancellationToken);
        ulong request = await ReadAsync(machine, MachineRegisters.CheckDone, cancellationToken) + 1;
        byte[] number = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(number, request);
        await machine.WriteRegionAsync(MachineRegisters.Region, MachineRegisters.CheckRequest, number, cancellationToken);
        long started = time.GetTimestamp();
        while (await ReadAsync(machine, MachineRegisters.CheckDone, cancellationToken) < request)
        {
            if (time.GetElapsedTime(started) > Limit)
                throw new DeviceLostException($"guest {guest.Name} did not finish its self-check in {Limit.TotalSeconds} s");
            await Task.Delay(BetweenLooks, time, cancellationToken);
        }

        return new SelfCheckView(
            await CountAsync(machine, MachineRegisters.CheckPages, cancellationToken),
            await CountAsync(machine, MachineRegisters.CheckWrong, cancellationToken),
            await CountAsync(machine, MachineRegisters.PageWrites, cancellationToken),
            await CountAsync(machine, MachineRegisters.WorkErrors, cancellationToken),
            await CountAsync(machine, MachineRegisters.RegisterOperations, cancellationToken),
            await CountAsync(machine, MachineRegisters.Interrupts, cancellationToken));
    }

    private static async Task<long> CountAsync(IMigratableDevice machine, ulong register, CancellationToken cancellationToken) =>
        (long)await ReadAsync(machine, register, cancellationToken);

    private static async Task<ulong> ReadAsync(IMigratableDevice machine, ulong register, CancellationToken cancellationToken)
    {
        byte[] value = new byte[sizeof(ulong)];
        await machine.ReadRegionAsync(MachineRegisters.Region, register, value, cancellationToken);
        return BinaryPrimitives.ReadUInt64LittleEndian(value);
    }
}
