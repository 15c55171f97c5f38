namespace MigrationCluster.Chaos.Exploration;

/// <summary>One number of a state: the faults that may still happen, who is cut off, and whether the guest's loss is excused.</summary>
internal readonly record struct Faults(int Value)
{
    public int Crashes => Get(0, 3);

    public int Takeovers => Get(3, 2);

    public int Cancels => Get(5, 2);

    public int Partitions => Get(7, 2);

    public int Failures => Get(9, 2);

    public int SlowAnswers => Get(11, 2);

    /// <summary>The host that is cut off from everybody: 1 or 2; 0 for none.</summary>
    public int Cut => Get(13, 2);

    /// <summary>A fault took the last complete copy: nobody can own the guest any more.</summary>
    public bool Lost => Get(15, 1) == 1;

    public int HostDeaths => Get(16, 2);

    /// <summary>The host that is dead for good: 1 or 2; 0 for none.</summary>
    public int Dead => Get(18, 2);

    public int DeviceDeaths => Get(20, 2);

    /// <summary>No fault, but as those one that an operator may come with at any time.</summary>
    public int Bandwidths => Get(22, 2);

    public static Faults Of(Configuration configuration) => default(Faults).Set(0, 3, configuration.Crashes)
        .Set(3, 2, configuration.Takeovers).Set(5, 2, configuration.Cancels).Set(7, 2, configuration.Partitions)
        .Set(9, 2, configuration.Failures).Set(11, 2, configuration.SlowAnswers)
        .Set(16, 2, configuration.HostDeaths).Set(20, 2, configuration.DeviceDeaths).Set(22, 2, configuration.Bandwidths);

    public Faults Crash() => Set(0, 3, Crashes - 1);

    public Faults TakeOver() => Set(3, 2, Takeovers - 1);

    public Faults Cancel() => Set(5, 2, Cancels - 1);

    public Faults CutOff(int host) => Set(7, 2, Partitions - 1).Set(13, 2, host);

    public Faults Mend() => Set(13, 2, 0);

    public Faults Fail() => Set(9, 2, Failures - 1);

    public Faults Slow() => Set(11, 2, SlowAnswers - 1);

    public Faults Lose() => Set(15, 1, 1);

    public Faults DieWhole(int host) => Set(16, 2, HostDeaths - 1).Set(18, 2, host);

    public Faults Limit() => Set(22, 2, Bandwidths - 1);

    public Faults DieInPart() => Set(20, 2, DeviceDeaths - 1);

    /// <summary>Faults have stopped: nothing of them is left but what they did.</summary>
    public Faults Over() => (Lost ? default(Faults).Lose() : default).Set(18, 2, Dead);

    private int Get(int bit, int bits) => (Value >> bit) & ((1 << bits) - 1);

    private Faults Set(int bit, int bits, int value)
    {
        if (value < 0 || value >= 1 << bits) throw new InvalidOperationException($"{value} does not fit {bits} bits");
        return new Faults((Value & ~(((1 << bits) - 1) << bit)) | (value << bit));
    }
}
