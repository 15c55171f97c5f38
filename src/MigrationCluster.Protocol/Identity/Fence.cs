namespace MigrationCluster.Protocol.Identity;

/// <summary>Fences one attempt at a guest against every older one. Grows, never repeats.</summary>
public readonly record struct Epoch(ulong Value) : IComparable<Epoch>
{
    public Epoch Next => new(Value + 1);
    public int CompareTo(Epoch other) => Value.CompareTo(other.Value);
    public static bool operator <(Epoch left, Epoch right) => left.Value < right.Value;
    public static bool operator >(Epoch left, Epoch right) => left.Value > right.Value;
    public static bool operator <=(Epoch left, Epoch right) => left.Value <= right.Value;
    public static bool operator >=(Epoch left, Epoch right) => left.Value >= right.Value;
    public override string ToString() => $"e{Value}";
}

/// <summary>Fences one coordinator's tenure over an attempt against its predecessors.</summary>
public readonly record struct Term(ulong Value) : IComparable<Term>
{
    public int CompareTo(Term other) => Value.CompareTo(other.Value);
    public static bool operator <(Term left, Term right) => left.Value < right.Value;
    public static bool operator >(Term left, Term right) => left.Value > right.Value;
    public static bool operator <=(Term left, Term right) => left.Value <= right.Value;
    public static bool operator >=(Term left, Term right) => left.Value >= right.Value;
    public override string ToString() => $"t{Value}";
}

/// <summary>The pair every command carries; ordered by epoch, then term.</summary>
public readonly record struct Fence(Epoch Epoch, Term Term) : IComparable<Fence>
{
    public int CompareTo(Fence other) =>
        Epoch.CompareTo(other.Epoch) is var byEpoch and not 0 ? byEpoch : Term.CompareTo(other.Term);

    public static bool operator <(Fence left, Fence right) => left.CompareTo(right) < 0;
    public static bool operator >(Fence left, Fence right) => left.CompareTo(right) > 0;
    public static bool operator <=(Fence left, Fence right) => left.CompareTo(right) <= 0;
    public static bool operator >=(Fence left, Fence right) => left.CompareTo(right) >= 0;
    public override string ToString() => $"({Epoch}, {Term})";
}
