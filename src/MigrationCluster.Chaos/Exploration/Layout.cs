namespace MigrationCluster.Chaos.Exploration;

/// <summary>
/// Where the numbers of a state are. One state is one row of small numbers, each the name of an interned value:
/// <code>
///   row | guest process on a | on b | faults | per attempt: journal, owner, displaced, source session, destination session,
///                                             unread events of both, in flight, late answers of both, stream complete
/// </code>
/// Time, clocks and randomness are no part of it: every `At` is the same, deadlines may pass whenever they are set.
/// </summary>
internal static class Layout
{
    public const int Row = 0;
    public const int Guest = 1;
    public const int Faults = 3;
    public const int Attempts = 4;
    public const int Stride = 11;

    /// <summary>What the coordinators' shared journal of the attempt folds to; 0 before it has begun.</summary>
    public const int Journal = 0;

    /// <summary>What the coordinator that holds the lease has in memory.</summary>
    public const int Owner = 1;

    /// <summary>What the one that lost it has in memory; 0 when there is none, or nothing is left for it to do.</summary>
    public const int Displaced = 2;
    public const int Source = 3;
    public const int Destination = 4;

    /// <summary>Events that the owner has not heard; the next one first. The destination's follow.</summary>
    public const int SourceFeed = 5;

    /// <summary>Orders sent from states that are past. Each may arrive at any time, any number of times, or never.</summary>
    public const int InFlight = 7;

    /// <summary>Commands that effects ended in and the machine has not heard. The destination's follow.</summary>
    public const int SourceLate = 8;
    public const int Complete = 10;

    public static int Width(int attempts) => Attempts + attempts * Stride;

    public static int At(int attempt, int field) => Attempts + attempt * Stride + field;
}
