using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Guests;

/// <summary>Ends a guest: asked first, killed when it does not go.</summary>
public static class GuestStop
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);
    private static readonly VfioUserClientOptions Impatient = new() { CommandLimit = Grace, TwinSocket = false };

    /// <summary>Returns when its process and device servers are dead. A guest that is not here is stopped already.</summary>
    /// <param name="fence">not older than the guest's; everybody who commands it under an older one is shut out.</param>
    /// <exception cref="DeviceRefusedException">the guest is commanded under a newer fence.</exception>
    public static async Task RunAsync(
        GuestHost host, GuestName guest, Fence fence, TimeProvider time, CancellationToken cancellationToken)
    {
        if (host.Find(guest) is { } hosted)
        {
            try
            {
                await using var machine = await MachineEndpointClient.ConnectAsync(
                    hosted.Endpoint(DeviceName.Machine), Impatient, cancellationToken);
                await machine.BindAsync(guest, fence, cancellationToken);
                await machine.ShutDownAsync(cancellationToken);
                await hosted.Ended.WaitAsync(Grace, time, cancellationToken);
            }
            catch (Exception error) when (error is DeviceLostException or TimeoutException)
            {
                // It hangs, or is gone already: what is left is killed below.
            }
        }

        await host.KillAsync(guest, cancellationToken);
    }
}
