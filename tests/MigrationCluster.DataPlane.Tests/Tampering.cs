using System.Globalization;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>
/// What somebody on the way may do to what was sent, frame by frame or record by record. Each returns how many are still as they were sent
/// before the first that is not.
/// </summary>
internal static class Tampering
{
    /// <summary>Of either kind, sealed and plain: with what CI does, five frames a round, 200,000 frames; 20 million with MC_HOSTILE_ROUNDS=2000000.</summary>
    internal static int Rounds { get; } =
        int.Parse(Environment.GetEnvironmentVariable("MC_HOSTILE_ROUNDS") ?? "20000", CultureInfo.InvariantCulture);

    /// <param name="from">bytes at the beginning that stay.</param>
    internal static int Mutate(List<byte[]> sent, Random random, int from)
    {
        int at = random.Next(sent.Count);
        sent[at] = [.. sent[at]];
        sent[at][random.Next(from, sent[at].Length)] ^= (byte)(1 << random.Next(8));
        return at;
    }

    internal static int Truncate(List<byte[]> sent, Random random)
    {
        int at = random.Next(sent.Count);
        sent[at] = sent[at][..random.Next(1, sent[at].Length)];
        sent.RemoveRange(at + 1, sent.Count - at - 1);
        return at;
    }

    internal static int LeaveOut(List<byte[]> sent, Random random)
    {
        int at = random.Next(sent.Count - 1);
        sent.RemoveAt(at);
        return at;
    }

    internal static int Repeat(List<byte[]> sent, Random random)
    {
        int at = random.Next(sent.Count);
        sent.Insert(at + 1, sent[at]);
        return at + 1;
    }

    internal static int Swap(List<byte[]> sent, Random random)
    {
        int at = random.Next(sent.Count - 1), other = random.Next(at + 1, sent.Count);
        (sent[at], sent[other]) = (sent[other], sent[at]);
        return at;
    }

    internal static int CutBetween(List<byte[]> sent, Random random)
    {
        int at = random.Next(sent.Count);
        sent.RemoveRange(at, sent.Count - at);
        return at;
    }
}
