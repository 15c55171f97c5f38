namespace MigrationCluster.Api;

/// <summary>The control protocol's version; every hello carries it. N and N-1 talk, anything else is refused.</summary>
public static class Wire
{
    public const int Version = 1;

    /// <summary>Request header naming the caller's wire version; the server's is in every reply.</summary>
    public const string Header = "mc-wire-version";

    /// <returns>null when the two sides may talk, else which side to upgrade.</returns>
    public static string? Refusal(int ours, int theirs) => (ours - theirs) switch
    {
        0 or 1 or -1 => null,
        > 1 => $"wire version {theirs} of the other side is too old for {ours} here: upgrade the other side",
        _ => $"wire version {ours} here is too old for {theirs} of the other side: upgrade this side",
    };
}

public sealed record Hello(int WireVersion, string Node, bool Coordinator, string ProductVersion);
