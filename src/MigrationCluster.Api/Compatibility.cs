namespace MigrationCluster.Api;

/// <summary>Whether a device or a guest can go to a host.</summary>
public static class Verdicts
{
    public const string Compatible = "compatible";
    public const string Incompatible = "incompatible";

    /// <summary>Nothing says no, and not enough says yes: refused unless it is accepted by name.</summary>
    public const string Unknown = "unknown";

    /// <summary>One of the two hosts cannot make the class at all.</summary>
    public const string Absent = "absent";
}

/// <summary>Whether a running guest could go to a host now, as planning would find it.</summary>
/// <param name="Verdict">see <see cref="Verdicts"/>: the worst of the devices' and of the host itself.</param>
/// <param name="Reasons">every reason, of the host (memory, wire versions) and of all devices.</param>
/// <param name="NoWayBack">it can go there, but could not come back: why; empty: it could.</param>
public sealed record CompatCheckView(
    string Guest,
    string Source,
    string Host,
    string Verdict,
    IReadOnlyList<Reason> Reasons,
    IReadOnlyList<DeviceVerdictView> Devices,
    IReadOnlyList<Reason> NoWayBack);

/// <param name="Class">what its spec asks a host for: a device template's name.</param>
/// <param name="Handler">which compatibility handler decided.</param>
/// <param name="Dropped">optional state sections that the destination does not know and drops.</param>
/// <param name="Return">verdict of the way back; null: it, or another device of its guest, cannot go there in the first place.</param>
public sealed record DeviceVerdictView(
    string Device,
    string Class,
    string Verdict,
    string Handler,
    IReadOnlyList<Reason> Reasons,
    IReadOnlyList<string> Dropped,
    string? Return);

/// <summary>One device against what a host could make, side by side.</summary>
public sealed record CompatExplainView(
    string Guest, string Source, string Host, DeviceVerdictView Device, IReadOnlyList<CompatRowView> Rows, IReadOnlyList<Reason> NoWayBack);

/// <param name="What">e.g. model, driver, parameter rx-filter-size.</param>
/// <param name="Source">what the device has.</param>
/// <param name="Destination">what the host could give it.</param>
public sealed record CompatRowView(string What, string Source, string Destination);

/// <summary>Which host takes a device of a class from which other.</summary>
/// <param name="Verdicts">a row a source, a column a destination, both in the order of <paramref name="Hosts"/>; see <see cref="Api.Verdicts"/>.</param>
/// <param name="Islands">hosts joined by pairs that work in both directions; the largest first.</param>
/// <param name="OneWay">pairs that work in one direction only.</param>
public sealed record CompatMatrixView(
    string Class,
    IReadOnlyList<MatrixHostView> Hosts,
    IReadOnlyList<IReadOnlyList<string>> Verdicts,
    IReadOnlyList<IslandView> Islands,
    IReadOnlyList<OneWayView> OneWay);

/// <param name="Stale">the host does not answer: this is what it told last.</param>
/// <param name="Offers">it can make the class; null: it has not said yet what it can make.</param>
public sealed record MatrixHostView(string Host, bool Stale, bool? Offers);

/// <param name="Whole">every two of its hosts take the device in both directions.</param>
public sealed record IslandView(IReadOnlyList<string> Hosts, bool Whole);

/// <param name="Back">verdict of the way back.</param>
public sealed record OneWayView(string Source, string Destination, string Back);

/// <summary>A common configuration that keeps a class movable.</summary>
/// <param name="Reached">false: no configuration reaches that many hosts; this one reaches the most.</param>
/// <param name="Hosts">a device made with it on any of these is taken by every one of these.</param>
/// <param name="Exact">nothing better exists, proven.</param>
/// <param name="Gap">how far a better one might be away, where it was not searched exactly; null: exact.</param>
/// <param name="Left">hosts it does not reach, with every reason.</param>
public sealed record CompatBaselineView(
    string Class,
    int MinTargets,
    bool Reached,
    IReadOnlyList<BaselineParameterView> Parameters,
    IReadOnlyList<string> Hosts,
    bool Exact,
    string? Gap,
    IReadOnlyList<PassedOverView> Left);

/// <param name="Usual">what most hosts that have it on give it.</param>
/// <param name="GivenUp">a feature that some host has today, turned off for the others' sake.</param>
public sealed record BaselineParameterView(string Name, string Value, string Usual, bool GivenUp);
