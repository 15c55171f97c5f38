using System.Globalization;
using MigrationCluster.DataPlane;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>The same bytes over 1 to 8 page channels of one session, and over one session to 16 side by side: what all of them move together.</summary>
internal static class ScalingBenchmark
{
    private const int RamMiB = 64;
    private const int MostSessions = 16; // the bytes of one measurement: this many times RAM, however they are divided
    private const int WarmUps = 1;
    private const int Rounds = 10;
    private const double Bar = 0.7;

    private static readonly int[] Channels = [1, 2, 4, 8], Migrations = [1, 4, 16];

    internal static async Task<int> RunAsync(TextWriter output, Figures figures, CancellationToken cancellationToken)
    {
        figures.Note($"{Environment.ProcessorCount} processors; {RamMiB * MostSessions} MiB of random pages a measurement, guests idle; {Rounds} rounds, medians");
        var sessions = new List<BenchSession>();
        var rams = new List<BenchRam>();
        var contest = new Contest();
        try
        {
            foreach (var mode in Enum.GetValues<TransferMode>())
            {
                foreach (int channels in Channels)
                {
                    var alone = await OpenAsync(channels, mode);
                    contest.Add(NameOf(mode, channels, "channels"), Total, () => SendAsync([alone]));
                }
                var side = new List<BenchSession>();
                while (side.Count < MostSessions) side.Add(await OpenAsync(TransferOptions.Default.Channels - 1, mode));
                foreach (int migrations in Migrations)
                    contest.Add(NameOf(mode, migrations, "migrations"), Total, () => SendAsync(side[..migrations]));
            }
            await contest.RunAsync(WarmUps, Rounds, cancellationToken);
            contest.Print(output);
            foreach (var mode in Enum.GetValues<TransferMode>())
            {
                Hold(mode, Channels, "channels");
                Hold(mode, Migrations, "migrations");
            }
            foreach (var session in sessions) await session.FinishAsync(cancellationToken);
            return figures.AllHold ? 0 : 1;
        }
        finally
        {
            foreach (var session in sessions) await session.DisposeAsync();
            foreach (IDisposable ram in rams) ram.Dispose();
        }

        async Task<BenchSession> OpenAsync(int pageChannels, TransferMode mode)
        {
            var (source, destination) = (new BenchRam(RamMiB, sessions.Count), new BenchRam(RamMiB, null));
            rams.AddRange([source, destination]);
            sessions.Add(await BenchSession.OpenAsync(
                source, destination, 0, 0, TransferOptions.Default with { Channels = pageChannels + 1 }, mode, cancellationToken));
            return sessions[^1];
        }

        // Each sends its RAM as often as makes the same sum.
        Task SendAsync(List<BenchSession> active) => Task.WhenAll(active.Select(async session =>
        {
            for (int pass = 0; pass < MostSessions / active.Count; pass++) await session.SendPagesAsync(cancellationToken);
        }));

        void Hold(TransferMode mode, int[] counts, string what)
        {
            foreach (int count in counts[1..])
                figures.AtLeast(
                    $"{NameOf(mode, count, what)} to {counts[0]}", contest.Ratio(NameOf(mode, count, what), NameOf(mode, counts[0], what)), Bar);
        }
    }

    private static long Total => (long)RamMiB * MostSessions << 20;

    private static string NameOf(TransferMode mode, int count, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{(mode == TransferMode.Plain ? "plain" : "sealed")}, {count} {what}");
}
