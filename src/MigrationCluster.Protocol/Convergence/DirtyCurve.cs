namespace MigrationCluster.Protocol.Convergence;

/// <summary>
/// How many distinct bytes are dirtied within a time:
/// <code>
///   W(t) = set * (1 - e^(-t / tau)) + rate * t
/// </code>
/// The first term is a hot set that is written again and again, the second what is written once or grows. Both are fitted to what
/// successive passes left dirty, each weighing 0.6 of the one after it, so that a guest that changes its ways is followed.
/// (Liu and others' geometric model is the case of no hot set.)
/// </summary>
/// <param name="Spread">relative: how far passes were off the curve.</param>
public readonly record struct DirtyCurve(double SetBytes, double TauSeconds, double BytesPerSecond, double Spread)
{
    private const double Fading = 0.6;
    private const int Steps = 24;

    public double At(TimeSpan time) => At(time.TotalSeconds);

    public double At(double seconds) => seconds <= 0 ? 0
        : SetBytes * (1 - Math.Exp(-seconds / TauSeconds)) + BytesPerSecond * seconds;

    /// <param name="points">time and bytes of each pass, the oldest first.</param>
    public static DirtyCurve Fit(IReadOnlyList<(double Seconds, double Bytes)> points)
    {
        var seen = points.Where(point => point.Seconds > 0).ToList();
        if (seen.Count == 0 || seen.All(point => point.Bytes == 0)) return new DirtyCurve(0, 1, 0, 0.5);
        // One pass alone does not tell a hot set from a steady rate: half of each.
        if (seen.Count == 1)
        {
            var (seconds, bytes) = seen[0];
            return new DirtyCurve(bytes / 2 / (1 - Math.Exp(-4)), seconds / 4, bytes / 2 / seconds, 0.5);
        }

        double shortest = seen.Min(point => point.Seconds), longest = seen.Max(point => point.Seconds);
        double scale = seen.Max(point => point.Bytes);
        var best = default(DirtyCurve);
        double least = double.MaxValue;
        double from = shortest / 8, factor = Math.Pow(Math.Max(longest, shortest * 2) * 4 / from, 1.0 / Steps);
        for (int step = 0; step <= Steps; step++, from *= factor)
        {
            var (curve, error) = Solve(seen, from, scale);
            if (error >= least * 0.999) continue;
            (best, least) = (curve, error);
        }

        return best with { Spread = Math.Clamp(Math.Sqrt(least) + 0.25 / Math.Sqrt(seen.Count), 0.05, 1) };
    }

    /// <summary>Weighted least squares of relative errors for one tau; neither term may be below 0.</summary>
    private static (DirtyCurve Curve, double Error) Solve(List<(double Seconds, double Bytes)> points, double tau, double scale)
    {
        double ff = 0, ft = 0, tt = 0, fw = 0, tw = 0, weights = 0;
        for (int i = 0; i < points.Count; i++)
        {
            var (t, w) = points[i];
            double f = 1 - Math.Exp(-t / tau);
            double weight = Weight(points, i, scale);
            (ff, ft, tt) = (ff + weight * f * f, ft + weight * f * t, tt + weight * t * t);
            (fw, tw, weights) = (fw + weight * f * w, tw + weight * t * w, weights + Math.Pow(Fading, points.Count - 1 - i));
        }

        double determinant = ff * tt - ft * ft;
        double set = determinant > 1e-12 * ff * tt ? (fw * tt - tw * ft) / determinant : -1;
        double rate = set >= 0 ? (tw - set * ft) / tt : -1;
        if (set < 0 || rate < 0)
        {
            var (steady, hot) = (new DirtyCurve(0, tau, tw / tt, 0), new DirtyCurve(fw / ff, tau, 0, 0));
            double ofSteady = Error(points, steady, scale, weights), ofHot = Error(points, hot, scale, weights);
            return ofSteady < ofHot ? (steady, ofSteady) : (hot, ofHot);
        }

        var both = new DirtyCurve(set, tau, rate, 0);
        return (both, Error(points, both, scale, weights));
    }

    private static double Error(List<(double Seconds, double Bytes)> points, DirtyCurve curve, double scale, double weights)
    {
        double sum = 0;
        for (int i = 0; i < points.Count; i++)
        {
            double off = curve.At(points[i].Seconds) - points[i].Bytes;
            sum += Weight(points, i, scale) * off * off;
        }

        return sum / weights;
    }

    private static double Weight(List<(double Seconds, double Bytes)> points, int i, double scale)
    {
        double size = Math.Max(points[i].Bytes, scale * 0.02);
        return Math.Pow(Fading, points.Count - 1 - i) / (size * size);
    }
}
