using System.Data.Common;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Journal;

/// <summary>Every engine's table <c>guests</c>: a record is a row of it.</summary>
internal static class GuestTable
{
    public const string Schema =
        "guests (guest TEXT PRIMARY KEY, owner TEXT NOT NULL, epoch BIGINT NOT NULL, decision TEXT NOT NULL, " +
        "attempt TEXT, destination TEXT, spec TEXT NOT NULL, placement TEXT NOT NULL)";

    public const string Select = "SELECT guest, owner, epoch, decision, attempt, destination, spec, placement FROM guests";

    /// <summary>An INSERT without its verb; <see cref="Values"/> are its parameters.</summary>
    public const string Into =
        "INTO guests (guest, owner, epoch, decision, attempt, destination, spec, placement) " +
        "VALUES (@Guest, @Owner, @Epoch, @Decision, @Attempt, @Destination, @Spec, @Placement)";

    /// <param name="prefix">of every parameter's name.</param>
    public static (string Name, object? Value)[] Values(GuestRecord record, string prefix = "") =>
    [
        (prefix + "Guest", record.Row.Guest.Value),
        (prefix + "Owner", record.Row.Owner.Value),
        (prefix + "Epoch", (long)record.Row.Epoch.Value),
        (prefix + "Decision", record.Row.Decision.ToString()),
        (prefix + "Attempt", record.Row.Attempt?.Value),
        (prefix + "Destination", record.Row.Destination?.Value),
        (prefix + "Spec", record.SpecJson),
        (prefix + "Placement", record.Placement.ToString()),
    ];

    /// <param name="row">of <see cref="Select"/>.</param>
    public static GuestRecord Read(DbDataReader row) => new(
        new GuestRow(
            new GuestName(row.GetString(0)), new HostName(row.GetString(1)), new Epoch((ulong)row.GetInt64(2)),
            Enum.Parse<OwnershipDecision>(row.GetString(3)),
            row.TextOrNull(4) is { } attempt ? new MigrationId(attempt) : null,
            row.TextOrNull(5) is { } destination ? new HostName(destination) : null),
        row.GetString(6), Enum.Parse<Placement>(row.GetString(7)));
}
