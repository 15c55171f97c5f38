namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>The best common configuration of a class that stays movable.</summary>
public static class Baseline
{
    /// <param name="minTargets">how many hosts have to take a device made with it.</param>
    /// <returns>null: no host offers the class.</returns>
    public static BaselineAnswer? Find(IReadOnlyList<HostOffer> hosts, int minTargets, HandlerChain handlers)
    {
        HostOffer[] able = [.. hosts.Where(host => host.Offer is not null)];
        if (able.Length == 0) return null;
        // First cut: the most common configuration of today, and the hosts that take it among each other.
        var reference = able[0].Offer!.Instantiate();
        HostOffer[] taken = [.. able.Where(host =>
            handlers.Judge(new Candidate(reference, host.Offer!)).Verdict is Compatible
            && handlers.Judge(new Candidate(host.Offer!.Instantiate(reference.Parameters), able[0].Offer!)).Verdict is Compatible)];
        var score = new BaselineScore(reference.Parameters.Count(parameter => parameter.Value != parameter.Off), 0, taken.Length);
        return new BaselineAnswer(taken.Length >= minTargets,
            [.. reference.Parameters.Select(parameter => new BaselineParameter(parameter.Name, parameter.Value, parameter.Off, parameter.Value))],
            [.. taken.Select(host => host.Host)], score, score, false,
            [.. able.Except(taken).Select(host => new BaselineObstacle(host.Host, []))]);
    }
}
