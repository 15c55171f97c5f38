using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>A configuration for a class, and where a device made with it can move.</summary>
/// <param name="Reached">false: no configuration keeps it movable to as many hosts as asked for; this one is movable to the most.</param>
/// <param name="Parameters">by name; none that is off everywhere today is turned on.</param>
/// <param name="Hosts">a device made with it on any of these is taken by every one of these.</param>
/// <param name="Score">what this configuration reaches.</param>
/// <param name="AtMost">
/// what no configuration exceeds, part by part in their order; equal to <paramref name="Score"/> when the search was exact. The
/// difference is the gap.
/// </param>
/// <param name="Exact">nothing better exists, proven.</param>
/// <param name="Left">the hosts left out, with every reason.</param>
public sealed record BaselineAnswer(
    bool Reached,
    IReadOnlyList<BaselineParameter> Parameters,
    IReadOnlyList<HostName> Hosts,
    BaselineScore Score,
    BaselineScore AtMost,
    bool Exact,
    IReadOnlyList<BaselineObstacle> Left);

/// <param name="Usual">the most common default of those hosts that have it on; off: it is on nowhere.</param>
public sealed record BaselineParameter(string Name, string Value, string Off, string Usual)
{
    /// <summary>A feature that the class has today on some host and gives up for the sake of the others.</summary>
    public bool GivenUp => Value == Off && Usual != Off;
}

/// <summary>What makes one configuration better than another, in this order.</summary>
/// <param name="FeaturesOn">parameters away from their off value.</param>
/// <param name="Closeness">how near the values are to the usual ones, in percent, summed over all features.</param>
/// <param name="Hosts">how many hosts it is movable to.</param>
public readonly record struct BaselineScore(int FeaturesOn, int Closeness, int Hosts);

/// <summary>A host that a baseline does not reach.</summary>
/// <param name="Reasons">why it does not take the device of one of the baseline's hosts, or one of these does not take its.</param>
public sealed record BaselineObstacle(HostName Host, IReadOnlyList<CompatibilityReason> Reasons);
