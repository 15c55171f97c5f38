namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>A fault at a place.</summary>
internal sealed record Hit(string Point, string Process, string Fault)
{
    public override string ToString() => $"{Place.Find(Point, Process)} {Fault}";
}

/// <summary>One migration, with one fault or two.</summary>
internal sealed record MatrixCase(IReadOnlyList<Hit> Hits)
{
    public override string ToString() => string.Join(" + ", Hits);

    /// <summary>The way of the one place that the guest's moving alone does not lead to; two of them are no case.</summary>
    public Way Way() => Hits.Select(hit => Place.Find(hit.Point, hit.Process).Way).FirstOrDefault(way => way != Matrix.Way.Moves) ?? Matrix.Way.Moves;

    /// <summary>Every fault at every place where it makes sense, a fault after the other.</summary>
    public static IReadOnlyList<MatrixCase> Singles(IEnumerable<Place> places, IEnumerable<Fault> faults) =>
        [.. faults.SelectMany(fault => places.Where(place => MakesSense(place, fault)).Select(place => new MatrixCase([Of(place, fault)])))];

    /// <summary>A sample of pairs at different places; a pure function of the seed.</summary>
    public static IReadOnlyList<MatrixCase> Pairs(IReadOnlyList<MatrixCase> singles, int count, int seed)
    {
        var random = new Random(seed);
        var pairs = new Dictionary<string, MatrixCase>();
        for (int tries = 0; pairs.Count < count && tries < 100 * count && singles.Count > 1; tries++)
        {
            var (one, other) = (singles[random.Next(singles.Count)], singles[random.Next(singles.Count)]);
            if (one.Hits[0].Point == other.Hits[0].Point) continue;
            if (one.Way() != other.Way() && one.Way() != Matrix.Way.Moves && other.Way() != Matrix.Way.Moves) continue;
            var pair = new MatrixCase([one.Hits[0], other.Hits[0]]);
            pairs.TryAdd(pair.ToString(), pair);
        }

        return [.. pairs.Values];
    }

    /// <summary>A sample, in the order they had.</summary>
    public static IReadOnlyList<MatrixCase> Sample(IReadOnlyList<MatrixCase> cases, int count, int seed)
    {
        int[] chosen = [.. Enumerable.Range(0, cases.Count)];
        new Random(seed).Shuffle(chosen);
        return [.. chosen.Take(count).Order().Select(i => cases[i])];
    }

    private static Hit Of(Place place, Fault fault) => new(place.Point, place.Process, fault.Name);

    private static bool MakesSense(Place place, Fault fault) => fault.At(new Scene(place.Process, "c1", "n1", "n2", "g1")) is not null;
}
