namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Branch and bound over the values of a class's parameters: the best sum first, cut where even the best of what is left cannot win, or where
/// the same hosts were reached with a better start. Its first descent is the greedy answer; what it has not looked at when its
/// steps run out is covered by the bound, and said.
/// </summary>
internal sealed class BaselineSearch
{
    private const int RememberedStarts = 200_000;

    private readonly BaselineChoice[] _choices;
    private readonly int _minHosts;
    private readonly bool _hostsFirst;
    private readonly long _on, _close, _host;
    private readonly BaselineValue[] _picked;
    private readonly Dictionary<(int, HostSet), long> _starts = [];
    private int _steps;
    private long _best = -1;

    /// <param name="hostsFirst">the most hosts, whatever it costs; otherwise the best configuration of those with enough hosts.</param>
    internal BaselineSearch(IReadOnlyList<BaselineChoice> choices, int hosts, int minHosts, bool hostsFirst, int steps)
    {
        // Those with the fewest values first: they decide the hosts early.
        _choices = [.. choices.OrderBy(choice => choice.Values.Count)];
        _picked = new BaselineValue[_choices.Length];
        (_minHosts, _hostsFirst, _steps) = (Math.Max(1, minHosts), hostsFirst, steps);
        // One number in place of a triple that is compared part by part.
        long closest = 100L * choices.Count + 1;
        (_on, _close, _host) = hostsFirst ? (closest, 1, closest * (choices.Count + 1)) : (closest * (hosts + 1), hosts + 1, 1);
    }

    /// <summary>The best found: values by parameter name, and the hosts that take them all; null: none.</summary>
    internal (IReadOnlyDictionary<string, BaselineValue> Values, HostSet Hosts)? Best { get; private set; }

    internal BaselineScore Score => _best < 0 ? default : Parts(_best);

    /// <summary>What nothing exceeds; the score itself once everything has been looked at.</summary>
    internal BaselineScore AtMost { get; private set; }

    internal bool IsExact { get; private set; }

    /// <param name="groups">sets of hosts, of each of which a baseline may use any.</param>
    internal void Run(IReadOnlyList<HostSet> groups)
    {
        long most = -1;
        bool complete = true;
        foreach (var group in groups.OrderByDescending(group => group.Count))
        {
            most = Math.Max(most, Bound(0, 0, group));
            complete &= Descend(0, 0, group);
        }
        IsExact = complete;
        most = complete ? _best : Math.Max(most, _best);
        AtMost = most < 0 ? default : Parts(most);
    }

    /// <returns>false: out of steps, so something may have been missed.</returns>
    private bool Descend(int depth, long start, HostSet hosts)
    {
        if (_steps-- <= 0) return Best is not null && Bound(depth, start, hosts) <= _best;
        if (Bound(depth, start, hosts) <= _best) return true;
        if (depth == _choices.Length)
        {
            _best = start + hosts.Count * _host;
            Best = (_choices.Index().ToDictionary(choice => choice.Item.Declared.Name, choice => _picked[choice.Index]), hosts);
            return true;
        }
        if (_starts.TryGetValue((depth, hosts), out long better) && better >= start) return true;
        if (_starts.Count < RememberedStarts) _starts[(depth, hosts)] = start;
        bool complete = true;
        foreach (var value in _choices[depth].Values)
        {
            if (hosts.CountOfBoth(value.Hosts) < _minHosts) continue;
            _picked[depth] = value;
            complete &= Descend(depth + 1, start + Worth(depth, value), hosts.And(value.Hosts));
        }
        return complete;
    }

    /// <summary>Every parameter that is left with its best value, as if they did not get in each other's way; -1: one has none.</summary>
    private long Bound(int depth, long start, HostSet hosts)
    {
        if (hosts.Count < _minHosts) return -1;
        long most = start;
        int reach = hosts.Count;
        for (int left = depth; left < _choices.Length; left++)
        {
            long best = -1;
            int widest = 0;
            foreach (var value in _choices[left].Values)
            {
                int count = hosts.CountOfBoth(value.Hosts);
                if (count < _minHosts) continue;
                best = Math.Max(best, Worth(left, value));
                widest = Math.Max(widest, count);
            }
            if (best < 0) return -1;
            most += best;
            reach = Math.Min(reach, widest);
        }
        return most + reach * _host;
    }

    private long Worth(int choice, BaselineValue value) =>
        _choices[choice].IsFeature ? (value.IsOn ? _on : 0) + value.Closeness * _close : 0;

    private BaselineScore Parts(long sum) => _hostsFirst
        ? new BaselineScore((int)(sum % _host / _on), (int)(sum % _host % _on), (int)(sum / _host))
        : new BaselineScore((int)(sum / _on), (int)(sum % _on / _close), (int)(sum % _on % _close));
}
