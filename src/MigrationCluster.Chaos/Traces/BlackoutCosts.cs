namespace MigrationCluster.Chaos.Traces;

/// <summary>What the steps of a blackout take that are not bytes, ms: of two hosts in the middle, or as drawn for one migration.</summary>
internal sealed record BlackoutCosts(
    double SwitchDelay, double Quiesce, double Stop, double Bitmap, double Pages, double Final, double DeviceLoad, double Load, double Verify, double Yield,
    double Commit, double Resume)
{
    private const double Sigma = 0.25; // of each step, from one migration to the next

    public static BlackoutCosts OfHosts(Random random)
    {
        double slow = 0.6 + 0.8 * random.NextDouble(); // disks and cores of theirs
        return new BlackoutCosts(20 * slow, 2 * slow, 8 * slow, 6 * slow, 5 * slow, 4 * slow, 3 * slow, 8 * slow, 20 * slow, 15 * slow, 12 * slow, 35 * slow);
    }

    public BlackoutCosts Drawn(Random random)
    {
        double Draw(double median) => median * Math.Exp(Sigma * TraceMaker.Normal(random));
        return new BlackoutCosts(
            Draw(SwitchDelay), Draw(Quiesce), Draw(Stop), Draw(Bitmap), Draw(Pages), Draw(Final), Draw(DeviceLoad), Draw(Load), Draw(Verify), Draw(Yield),
            Draw(Commit), Draw(Resume));
    }
}
