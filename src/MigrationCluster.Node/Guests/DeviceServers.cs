using System.Globalization;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Guests;

/// <summary>
/// The device servers of a guest process, its children, as it has written them down. While a device stands still nobody asks anything
/// of it, so its server's death shows in /proc alone.
/// </summary>
public static class DeviceServers
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);

    /// <summary>Completes with the first that has died under a guest process that lives. The death of all with their guest process is no such.</summary>
    public static async Task<DeviceServer> UntilOneDiesAsync(
        string directory, GuestTask process, TimeProvider time, CancellationToken cancellationToken)
    {
        var servers = Of(directory);
        using var tick = new PeriodicTimer(BetweenLooks, time);
        do
        {
            if (FindDead(servers, process) is { } dead) return dead;
        }
        while (await tick.WaitForNextTickAsync(cancellationToken));
        throw new OperationCanceledException(cancellationToken);
    }

    /// <returns>none, once the guest process has ended and taken its files with it.</returns>
    private static List<DeviceServer> Of(string directory)
    {
        try
        {
            return [.. File.ReadAllLines(Path.Combine(directory, GuestFiles.DeviceServers)).Select(line => line.Split(' '))
                .Select(words => new DeviceServer(new DeviceName(words[0]), int.Parse(words[1], CultureInfo.InvariantCulture)))];
        }
        catch (FileNotFoundException)
        {
            return [];
        }
    }

    /// <summary>The guest process is looked at last: if it lives then, no server has died of its death.</summary>
    private static DeviceServer? FindDead(List<DeviceServer> servers, GuestTask process)
    {
        try
        {
            return servers.Find(server => !ProcessTable.IsChild(server.ProcessId, process.Id)) is { } dead
                && ProcessTable.IsAlive(process) ? dead : null;
        }
        catch (IOException)
        {
            // What cannot be seen now is not therefore dead: it is looked for again.
            return null;
        }
    }
}

public sealed record DeviceServer(DeviceName Device, int ProcessId);
