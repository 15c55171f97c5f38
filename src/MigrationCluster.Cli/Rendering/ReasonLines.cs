using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>Reasons as lines: what and its code, then on which side to do what about it. Those of several hosts stand under their host.</summary>
public static class ReasonLines
{
    public static IEnumerable<string> Of(IEnumerable<Reason> reasons, string indent = "  ")
    {
        foreach (var byHost in reasons.GroupBy(reason => reason.Host))
        {
            string inner = byHost.Key is null ? indent : indent + "  ";
            if (byHost.Key is { } host) yield return indent + host;
            foreach (var reason in byHost)
            {
                yield return $"{inner}- {reason.Message} [{reason.Code}]";
                if (reason.Remedy.Length > 0) yield return $"{inner}  {Side(reason)}{reason.Remedy}";
            }
        }
    }

    private static string Side(Reason reason) => reason.Side is { } side ? $"at the {side}: " : "";
}
