namespace MigrationCluster.Chaos.Simulation;

/// <summary>How networks, disks and effects fare at the moment; faults change it. All chance of a run is drawn here.</summary>
internal sealed class Weather(Random random)
{
    /// <summary>The store as an end of a link.</summary>
    public const string Store = "store";

    private readonly Dictionary<(string From, string To), int> _cuts = [];

    public Random Random => random;

    public int LossPerMille { get; set; }

    public int RepeatPerMille { get; set; }

    public int LostAnswersPerMille { get; set; }

    public int FailuresPerMille { get; set; }

    /// <summary>Milliseconds a message may take longer.</summary>
    public int Delay { get; set; }

    /// <summary>Milliseconds a transaction may take longer.</summary>
    public int StoreDelay { get; set; }

    /// <summary>Milliseconds an effect may take longer.</summary>
    public int Slowness { get; set; }

    public bool StoreDown { get; set; }

    public void Cut(string from, string to, bool cut) =>
        _cuts[(from, to)] = _cuts.GetValueOrDefault((from, to)) + (cut ? 1 : -1);

    public bool IsCut(string from, string to) => _cuts.Count > 0 && _cuts.GetValueOrDefault((from, to)) > 0;

    /// <summary>Whether a message from one to the other gets through.</summary>
    public bool Loses(string from, string to) => IsCut(from, to) || Happens(LossPerMille);

    public bool Repeats() => Happens(RepeatPerMille);

    public bool LosesAnswer() => Happens(LostAnswersPerMille);

    public bool Fails() => Happens(FailuresPerMille);

    public TimeSpan Latency() => Between(200, 1_500) + UpTo(Delay);

    public TimeSpan StoreLatency() => Between(300, 2_000) + UpTo(StoreDelay);

    /// <summary>Half of what an effect takes: it acts in the middle.</summary>
    /// <param name="milliseconds">at most, on a good day.</param>
    public TimeSpan Effort(int milliseconds) => Between(500, (milliseconds * 1_000) + 501) + UpTo(Slowness);

    public TimeSpan UpTo(int milliseconds) => milliseconds == 0 ? TimeSpan.Zero : Between(0, milliseconds * 1_000);

    private TimeSpan Between(int least, int most) => TimeSpan.FromMicroseconds(random.Next(least, most));

    private bool Happens(int perMille) => perMille > 0 && random.Next(1000) < perMille;
}
