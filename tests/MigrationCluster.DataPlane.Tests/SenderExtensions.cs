namespace MigrationCluster.DataPlane.Tests;

internal static class SenderExtensions
{
    /// <summary>Waits until the device's bytes were accepted, or the session says why not.</summary>
    internal static async Task FinishDeviceAsync(this TransferSender sender, int device, ulong bytes)
    {
        while (sender.AckedDeviceBytes(device) < bytes)
        {
            if (sender.Failure is { } failure) throw new TransferFailedException(failure.Reason, failure.Message);
            await Task.Yield();
        }
    }
}
