using MigrationCluster.Devices;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Guests;

/// <summary>Ends a guest: asked first, killed when it does not go.</summary>
public static class GuestStop
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);
    private static readonly VfioUserClientOptions Impatient = new() { CommandLimit = Grace, TwinSocket = false };

    /// <summary>Returns when its process and device servers are dead, and no order to start it under an older fence can be carried out any
    /// more: it may still be on its way. A guest that is not here is stopped already.</summary>
    /// <param name="fence">not older than the guest's; everybody who commands it under an older one is shut out.</param>
    /// <returns>why it was not stopped: it is commanded under a newer fence, or its fence file cannot be read; null: it is stopped.</returns>
    public static async Task<string?> RunAsync(
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
            catch (DeviceRefusedException refused)
            {
                return refused.Message;
            }
            catch (Exception error) when (error is DeviceLostException or TimeoutException)
            {
                // It hangs, or is gone already: what is left is killed below.
            }
        }

        try
        {
            return await host.KillAsync(guest, fence, incomingOnly: false, cancellationToken);
        }
        catch (FenceFileException error)
        {
            return error.Message;
        }
    }
}
