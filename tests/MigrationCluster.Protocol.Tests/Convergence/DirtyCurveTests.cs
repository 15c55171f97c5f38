using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Protocol.Tests.Convergence;

public sealed class DirtyCurveTests
{
    [Theory]
    [InlineData(500, 0.4, 0)]
    [InlineData(0, 1, 80)]
    [InlineData(200, 0.1, 30)]
    public void Finds_the_set_and_the_rate_that_passes_came_of(double set, double tau, double rate)
    {
        var guest = new DirtyCurve(set, tau, rate, 0);
        var curve = DirtyCurve.Fit([.. new[] { 4.0, 1.5, 0.6, 0.25, 0.1 }.Select(t => (t, guest.At(t)))]);
        foreach (double t in new[] { 0.05, 0.2, 1, 3 }) Assert.InRange(curve.At(t), guest.At(t) * 0.75, guest.At(t) * 1.25);
    }

    [Fact]
    public void Never_falls_with_time_and_never_exceeds_its_rate_at_the_beginning()
    {
        var random = new Random(6);
        for (int run = 0; run < 500; run++)
        {
            var points = Enumerable.Range(0, random.Next(1, 6)).Select(_ => (random.NextDouble() * 5, random.NextDouble() * 1e9)).ToList();
            var curve = DirtyCurve.Fit(points);
            Assert.True(curve is { SetBytes: >= 0, BytesPerSecond: >= 0, Spread: > 0 }, $"{run}: {curve}");
            for (double t = 0; t < 4; t += 0.5) Assert.True(curve.At(t) <= curve.At(t + 0.5));
        }
    }

    [Fact]
    public void A_guest_that_has_become_quiet_is_believed()
    {
        var curve = DirtyCurve.Fit([(1, 900e6), (0.9, 880e6), (0.9, 10e6), (0.1, 2e6), (0.1, 2e6)]);
        Assert.InRange(curve.At(0.1), 0, 60e6);
    }

    [Fact]
    public void Without_passes_nothing_is_dirtied_and_nothing_is_sure() => Assert.Equal(new DirtyCurve(0, 1, 0, 0.5), DirtyCurve.Fit([]));
}
