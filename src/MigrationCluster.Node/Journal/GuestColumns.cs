using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Journal;

/// <summary>A guest's record as every engine's table <c>guests</c> holds it.</summary>
internal sealed class GuestColumns
{
    public const string Schema =
        "guests (guest TEXT PRIMARY KEY, owner TEXT NOT NULL, epoch BIGINT NOT NULL, decision TEXT NOT NULL, " +
        "attempt TEXT, destination TEXT, spec TEXT NOT NULL, placement TEXT NOT NULL)";

    public string Guest { get; init; } = "";
    public string Owner { get; init; } = "";
    public long Epoch { get; init; }
    public string Decision { get; init; } = "";
    public string? Attempt { get; init; }
    public string? Destination { get; init; }
    public string Spec { get; init; } = "";
    public string Placement { get; init; } = "";

    public static GuestColumns Of(GuestRecord record) => new()
    {
        Guest = record.Row.Guest.Value,
        Owner = record.Row.Owner.Value,
        Epoch = (long)record.Row.Epoch.Value,
        Decision = record.Row.Decision.ToString(),
        Attempt = record.Row.Attempt?.Value,
        Destination = record.Row.Destination?.Value,
        Spec = record.SpecJson,
        Placement = record.Placement.ToString(),
    };

    public GuestRecord ToRecord() => new(
        new GuestRow(
            new GuestName(Guest), new HostName(Owner), new Epoch((ulong)Epoch), Enum.Parse<OwnershipDecision>(Decision),
            Attempt is null ? null : new MigrationId(Attempt), Destination is null ? null : new HostName(Destination)),
        Spec, Enum.Parse<Placement>(Placement));
}
