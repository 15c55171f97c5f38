namespace MigrationCluster.Chaos.Traces;

/// <summary>Makes traces of a seed: the kinds of guest that pre-copy has to do with.</summary>
internal sealed class TraceMaker(int seed)
{
    public static readonly IReadOnlyList<string> Kinds = ["idle", "hot set", "phased", "DMA-heavy", "growing"];

    private const double MiB = 1 << 20, GiB = 1 << 30;
    private const int Slots = (int)(GuestTrace.Seconds / GuestTrace.SlotSeconds);
    private static readonly double[] LimitsMs = [300, 500, 1000];

    private readonly Random _random = new(seed);

    /// <param name="pair">the two hosts: their steps cost the same, give or take, in every migration.</param>
    public GuestTrace Make(string kind, BlackoutCosts pair)
    {
        double link = Between(300, 2000) * MiB, ram = Between(1, 8) * GiB;
        var limit = TimeSpan.FromMilliseconds(LimitsMs[_random.Next(LimitsMs.Length)]);
        var streams = new List<IWrites> { Hot(Between(4, 32) * MiB, Between(0.2, 2) * MiB) }; // what an idle system does
        switch (kind)
        {
            case "hot set":
                streams.Add(Hot(ram * Between(0.01, 0.4), link * Between(0.1, 2)));
                break;
            case "phased":
                streams.Add(Hot(ram * Between(0.05, 0.4), link * Between(0.5, 2), Phases(Between(2, 20), Between(2, 20))));
                break;
            case "DMA-heavy":
                streams.Add(Hot(Between(16, 512) * MiB, link * Between(0.2, 2), dma: true));
                streams.Add(Hot(ram * Between(0.01, 0.1), link * Between(0.05, 0.5)));
                break;
            case "growing":
                double untilFull = Slots / Between(10, 40);
                streams.Add(Hot(ram * Between(0.05, 0.4), link * Between(0.3, 1.5), slot => Math.Min(1, slot / untilFull)));
                streams.Add(new WriteStream(null, IsDma: false, Noisy(link * Between(0.02, 0.2), 0.2)));
                break;
        }

        int devices = _random.Next(3);
        return new GuestTrace(
            kind, (long)ram, limit, streams, Noisy(link, Between(0.05, 0.3)),
            [.. Enumerable.Range(0, devices).Select(number => Device(number, link))], pair.Drawn(_random));
    }

    /// <summary>A recorded guest, over a link that takes half a second to ten for all of it.</summary>
    public GuestTrace Make(RecordedWrites recorded, BlackoutCosts pair)
    {
        double link = recorded.RamBytes / Between(0.5, 10);
        var limit = TimeSpan.FromMilliseconds(LimitsMs[_random.Next(LimitsMs.Length)]);
        return new GuestTrace(
            $"recorded {recorded.Guest}", recorded.RamBytes, limit, [recorded], Noisy(link, Between(0.05, 0.3)), [], pair.Drawn(_random));
    }

    private TracedDevice Device(int number, double link)
    {
        bool preCopy = _random.NextDouble() < 0.7;
        double size = preCopy ? Between(8, 512) * MiB : Between(0.1, 8) * MiB;
        return new TracedDevice(
            $"device{number}", preCopy ? "pre-copy" : "stop-copy", preCopy, preCopy ? (long)size : 0,
            Hot(size, preCopy ? Between(0, 40) * MiB : 0), link * Between(0.3, 1), (long)(preCopy ? Between(0.1, 4) * MiB : size));
    }

    private WriteStream Hot(double set, double rate, Func<int, double>? share = null, bool dma = false) =>
        new((long)set, dma, Noisy(rate, 0.3, share));

    /// <summary>A rate that wanders: what happens in one slot is much like what happened in the one before.</summary>
    private Curve Noisy(double rate, double sigma, Func<int, double>? share = null)
    {
        const double keeps = 0.95;
        var rates = new double[Slots];
        double level = 0;
        for (int slot = 0; slot < Slots; slot++)
        {
            level = keeps * level + Math.Sqrt(1 - keeps * keeps) * sigma * Normal(_random);
            rates[slot] = rate * Math.Exp(level - sigma * sigma / 2) * (share?.Invoke(slot) ?? 1);
        }

        return new Curve(rates);
    }

    private Func<int, double> Phases(double busySeconds, double quietSeconds)
    {
        double quiet = Between(0.01, 0.2), begins = Between(0, busySeconds + quietSeconds);
        return slot => (slot * GuestTrace.SlotSeconds + begins) % (busySeconds + quietSeconds) < busySeconds ? 1 : quiet;
    }

    private double Between(double low, double high) => low + (high - low) * _random.NextDouble();

    internal static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
