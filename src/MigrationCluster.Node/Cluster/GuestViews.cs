using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Guests;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Cluster;

/// <summary>How operators see a guest: its row, its spec, and what its owner's agent says of its process.</summary>
public static class GuestViews
{
    public const string Starting = "starting";
    public const string Running = "running";
    public const string Paused = "paused";
    public const string Stopped = "stopped";
    public const string Lost = "lost";

    /// <summary>The owner does not answer, so nobody knows.</summary>
    public const string Unknown = "unknown";

    /// <param name="owner">the owner's inventory; null when it does not answer.</param>
    /// <param name="starting">its launch is under way.</param>
    public static GuestView Of(GuestRecord record, Inventory? owner, bool starting, string? migration)
    {
        var row = record.Row;
        var spec = JsonSerializer.Deserialize(record.SpecJson, Json.Replies.Of<GuestSpec>())!;
        var hosted = owner?.Guests.FirstOrDefault(guest => guest.Guest == row.Guest);
        var groups = PeerToPeerGroups.Of(spec.Devices.Select(d => (d.Name, d.PeerToPeer ?? [])));
        return new GuestView(
            spec.Name, row.Owner.Value, State(record, owner, hosted, starting), row.Epoch.Value,
            row.Decision.ToString().ToLowerInvariant(), spec.MemoryMiB, spec, migration,
            [.. spec.Devices.Select(device => new GuestDeviceView(
                device.Name, device.Template, DeviceState(hosted, device.Name), groups[device.Name]))]);
    }

    private static string State(GuestRecord record, Inventory? owner, HostedGuestState? hosted, bool starting) =>
        record.Placement != Placement.Placed ? Stopped
        : starting ? Starting
        : owner is null ? Unknown
        : hosted is null ? Lost
        : hosted.Machine switch
        {
            Protocol.Vfio.DeviceState.Running => Running,
            null => Unknown,
            _ => Paused,
        };

    private static string DeviceState(HostedGuestState? hosted, string device)
    {
        var found = hosted?.Devices.FirstOrDefault(d => d.Name.Value == device);
        string state = found?.State?.ToString() ?? "unknown";
        return found is { Isolated: true } ? $"{state}, isolated" : state;
    }
}
