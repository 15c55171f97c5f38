using MigrationCluster.Api;
using MigrationCluster.Cli.Certificates;
using Spectre.Console;

namespace MigrationCluster.Cli.Rendering;

/// <summary>Tables of nodes, guests and migrations: one row a line, no borders, easy to cut.</summary>
public static class Listings
{
    public static Table Nodes(IReadOnlyList<NodeView> nodes)
    {
        var table = Plain("NAME", "ADDRESS", "ROLE", "STATE", "MEMORY", "FREE", "BANDWIDTH", "GUESTS", "TEMPLATES");
        foreach (var node in nodes)
        {
            Add(table, node.Name, node.Address, node.Coordinator ? "coordinator" : "agent",
                node.Reachable ? "up" : "unreachable", $"{node.MemoryMiB} MiB", $"{node.MemoryFreeMiB} MiB",
                Bandwidth.Text(node.MaxBytesPerSecond),
                Joined(node.Guests.Select(guest => node.Incoming.TryGetValue(guest, out string? migration)
                    ? $"{guest} (incoming, {migration})" : guest)), Joined(node.Templates.Keys.Order(StringComparer.Ordinal)));
        }
        return table;
    }

    public static Table Guests(IReadOnlyList<GuestView> guests)
    {
        var table = Plain("NAME", "HOST", "STATE", "MEMORY", "EPOCH", "MIGRATION", "DEVICES");
        foreach (var guest in guests)
        {
            Add(table, guest.Name, guest.Host, guest.State, $"{guest.MemoryMiB} MiB", guest.Epoch.ToString(),
                guest.Migration ?? "-", Joined(guest.Devices.Select(device => device.Name)));
        }
        return table;
    }

    public static Table Certificate(CertificateView view)
    {
        var table = Plain("CERTIFICATE", view.File);
        Add(table, "of", view.Of ?? view.Subject);
        if (view.Uri is not null) Add(table, "identity", view.Uri);
        if (view.Uri is not null) Add(table, "addresses", view.Addresses.Count > 0 ? string.Join(", ", view.Addresses) : "any");
        Add(table, "authority", view.Issuer);
        Add(table, "valid", $"{view.ValidFrom:yyyy-MM-dd HH:mm} to {view.ValidUntil:yyyy-MM-dd HH:mm} UTC");
        Add(table, "sha-256", view.Sha256);
        if (view.Problem is not null) Add(table, "problem", view.Problem);
        return table;
    }

    public static Table Devices(GuestView guest)
    {
        var table = Plain("DEVICE", "TEMPLATE", "STATE", "P2P GROUP");
        foreach (var device in guest.Devices)
            Add(table, device.Name, device.Template, device.State, device.Group.ToString());
        return table;
    }

    public static Table Migrations(IReadOnlyList<MigrationView> migrations)
    {
        var table = Plain("ID", "GUEST", "FROM", "TO", "PHASE", "OUTCOME", "STARTED", "DOWNTIME");
        foreach (var migration in migrations)
        {
            Add(table, migration.Id, migration.Guest, migration.Source, migration.Destination, migration.Phase,
                migration.Outcome, migration.StartedAt.ToString("yyyy-MM-dd HH:mm:ss'Z'"),
                migration.Report is { } report ? Figures.Ms(report.DowntimeMs) : "-");
        }
        return table;
    }

    internal static Table Plain(params string[] columns)
    {
        var table = new Table().Border(TableBorder.None);
        foreach (string column in columns) table.AddColumn(new TableColumn(new Text(column)).NoWrap().PadRight(2));
        return table;
    }

    internal static void Add(Table table, params string[] cells) =>
        table.AddRow(cells.Select(cell => new Text(cell)));

    private static string Joined(IEnumerable<string> names)
    {
        string joined = string.Join(',', names);
        return joined.Length == 0 ? "-" : joined;
    }
}
