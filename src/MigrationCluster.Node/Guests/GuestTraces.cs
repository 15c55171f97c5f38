using MigrationCluster.Devices.Ownership;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Guests;

/// <summary>Reads what of guests and migrations is on this host: the evidence that an inquiry wants, from files and processes
/// themselves, not from what the daemon believes.</summary>
public sealed class GuestTraces(DataDirectory data, IProgressSource sessions)
{
    public HostTraces Read() => new(
        [.. Directory.EnumerateDirectories(data.Guests).Order(StringComparer.Ordinal).Select(Of)], sessions.Sessions());

    private static GuestTrace Of(string directory)
    {
        var guest = new GuestName(Path.GetFileName(directory));
        var processes = ProcessTable.Of(directory).Select(task => task.Id).ToList();
        try
        {
            return new GuestTrace(guest, FenceFile.Read(directory), null, processes);
        }
        catch (Exception error) when (error is FenceFileException or IOException or UnauthorizedAccessException)
        {
            return new GuestTrace(guest, null, error.Message, processes);
        }
    }
}
