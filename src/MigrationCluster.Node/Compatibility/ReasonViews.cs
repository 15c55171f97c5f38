using MigrationCluster.Api;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Compatibility;

/// <summary>Reasons as operators read them, and back.</summary>
public static class ReasonViews
{
    public static Reason Of(Refusal refusal) => new(
        refusal.Code, refusal.Message, refusal.Remedy, refusal.Device, refusal.Expected, refusal.Actual, refusal.Side switch
        {
            CompatibilitySide.Source => ReasonSides.Source,
            CompatibilitySide.Destination => ReasonSides.Destination,
            _ => null,
        });

    public static IReadOnlyList<Reason> Of(IEnumerable<Refusal> refusals) => [.. refusals.Select(Of)];

    public static Refusal From(Reason reason) => new(
        reason.Code, reason.Message, reason.Remedy, reason.Device, reason.Expected, reason.Actual, reason.Side switch
        {
            ReasonSides.Source => CompatibilitySide.Source,
            ReasonSides.Destination => CompatibilitySide.Destination,
            _ => null,
        });
}
