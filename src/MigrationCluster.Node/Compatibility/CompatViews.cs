using System.Globalization;
using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Compatibility;

/// <summary>Answers to questions about compatibility as operators see them.</summary>
public static class CompatViews
{
    public static CompatCheckView Check(PlannedGuest guest, HostPlan plan)
    {
        var judgement = plan.Judgement;
        return new CompatCheckView(
            guest.Record.Row.Guest.Value, guest.Home.Value, judgement.Host.Value,
            judgement.Refusals.Count > 0 ? Verdicts.Incompatible : judgement.Unknown.Count > 0 ? Verdicts.Unknown : Verdicts.Compatible,
            ReasonViews.Of([.. judgement.Refusals, .. judgement.Unknown]), [.. plan.Ranking.Devices.Select(ranking => Device(ranking, guest))],
            ReasonViews.Of(judgement.NoWayBack));
    }

    public static CompatExplainView Explain(PlannedGuest guest, GuestDevice device, HostPlan plan, DeviceDescriptor? offer) => new(
        guest.Record.Row.Guest.Value, guest.Home.Value, plan.Judgement.Host.Value,
        Device(plan.Ranking.Devices.First(ranking => ranking.Device == device.Name), guest), DescriptorRows.Of(device.Device, offer),
        ReasonViews.Of(plan.Judgement.NoWayBack.Where(reason => reason.Device == device.Name)));

    public static CompatMatrixView Matrix(string @class, IReadOnlyList<AgentStanding> hosts, CompatibilityMatrix matrix)
    {
        var all = Enumerable.Range(0, matrix.Hosts.Count).ToList();
        return new CompatMatrixView(
            @class,
            [.. hosts.Select(host => new MatrixHostView(host.Name.Value, !host.Reachable, host.Offers?.Classes.ContainsKey(@class)))],
            [.. all.Select(source => (IReadOnlyList<string>)[.. all.Select(destination => Kind(matrix[source, destination]))])],
            [.. matrix.Islands.Select(island => new IslandView([.. island.Hosts.Select(host => host.Value)], island.IsWhole))],
            [.. matrix.OneWay.Select(edge => new OneWayView(edge.Source.Value, edge.Destination.Value, Kind(edge.Back)))]);
    }

    public static CompatBaselineView Baseline(string @class, int minTargets, BaselineAnswer answer) => new(
        @class, minTargets, answer.Reached,
        [.. answer.Parameters.Select(parameter => new BaselineParameterView(
            parameter.Name, parameter.Value, parameter.Usual, parameter.GivenUp))],
        [.. answer.Hosts.Select(host => host.Value)], answer.Exact, answer.Exact ? null : Gap(answer),
        [.. answer.Left.Select(left => new PassedOverView(
            left.Host.Value, null, [.. left.Reasons.Select(reason => ReasonViews.Of(Refusal.Of(@class, reason)))]))]);

    private static string Gap(BaselineAnswer answer)
    {
        var (found, most) = (answer.Score, answer.AtMost);
        return string.Create(CultureInfo.InvariantCulture,
            $"searched greedily: {found.FeaturesOn} features on {found.Hosts} hosts; no configuration exceeds {most.FeaturesOn} features on {most.Hosts} hosts");
    }

    private static DeviceVerdictView Device(DeviceRanking ranking, PlannedGuest guest)
    {
        var (verdict, handler) = ranking.Judgement;
        IReadOnlyList<CompatibilityReason> reasons = verdict switch
        {
            Incompatible incompatible => incompatible.Reasons,
            Unknown unknown => unknown.Why,
            _ => [],
        };
        return new DeviceVerdictView(
            ranking.Device, ranking.Class, Kind(verdict), handler,
            [.. reasons.Select(reason => ReasonViews.Of(Refusal.Of(ranking.Device, reason)))],
            verdict is Compatible compatible ? compatible.Dropped : [],
            verdict is not Compatible ? null
                : ranking.Return is { } back ? Kind(back.Verdict)
                : guest.Offers.Classes.ContainsKey(ranking.Class) ? null : Verdicts.Absent);
    }

    private static string Kind(Verdict verdict) => verdict switch
    {
        Compatible => Verdicts.Compatible,
        Unknown => Verdicts.Unknown,
        _ => Verdicts.Incompatible,
    };

    private static string Kind(VerdictKind kind) => kind switch
    {
        VerdictKind.Compatible => Verdicts.Compatible,
        VerdictKind.Unknown => Verdicts.Unknown,
        VerdictKind.Incompatible => Verdicts.Incompatible,
        _ => Verdicts.Absent,
    };
}
