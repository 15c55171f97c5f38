namespace MigrationCluster.Guest.Vcpus;

/// <summary>Which of its pages a vCPU writes next. All that changes is one random state and one cursor, which migrate.</summary>
internal enum AccessPattern
{
    /// <summary>Every page as likely as any other.</summary>
    Uniform,

    /// <summary>90 % of the writes go to the first 10 % of the pages.</summary>
    HotSet,

    /// <summary>One page after the other, round and round.</summary>
    Sequential,
}

internal static class AccessPatterns
{
    /// <summary>As a launch spec writes them.</summary>
    public static IReadOnlyList<string> Names { get; } = ["uniform", "hotset", "sequential"];

    /// <param name="name">one of <see cref="Names"/>.</param>
    public static AccessPattern Parse(string name) => name switch
    {
        "hotset" => AccessPattern.HotSet,
        "sequential" => AccessPattern.Sequential,
        _ => AccessPattern.Uniform,
    };

    /// <summary>Picks the next of <paramref name="count"/> pages.</summary>
    public static long Next(this AccessPattern pattern, long count, ref ulong random, ref ulong cursor)
    {
        switch (pattern)
        {
            case AccessPattern.Sequential:
                return (long)(cursor++ % (ulong)count);
            case AccessPattern.HotSet:
                long hot = Math.Max(1, count / 10);
                return Draw(ref random) % 10 != 0 ? (long)(Draw(ref random) % (ulong)hot) : (long)(Draw(ref random) % (ulong)count);
            default:
                return (long)(Draw(ref random) % (ulong)count);
        }
    }

    private static ulong Draw(ref ulong state)
    {
        // xorshift64* (Marsaglia 2003, Vigna 2014); its low bits are the weak ones.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545F4914F6CDD1D >> 16;
    }
}
