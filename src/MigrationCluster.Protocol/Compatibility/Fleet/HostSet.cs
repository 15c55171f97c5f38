using System.Numerics;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>Some of a fleet's hosts, by index. Never changed once it is made.</summary>
internal sealed class HostSet : IEquatable<HostSet>
{
    private readonly ulong[] _bits;

    private HostSet(ulong[] bits)
    {
        _bits = bits;
        foreach (ulong word in bits) Count += BitOperations.PopCount(word);
    }

    internal int Count { get; }

    internal IEnumerable<int> Members => Enumerable.Range(0, _bits.Length * 64).Where(Contains);

    internal static HostSet Of(int hosts, Func<int, bool> isMember)
    {
        ulong[] bits = new ulong[(hosts + 63) / 64];
        for (int host = 0; host < hosts; host++)
            if (isMember(host)) bits[host >> 6] |= 1UL << host;
        return new HostSet(bits);
    }

    internal bool Contains(int host) => (_bits[host >> 6] >> host & 1) != 0;

    internal int CountOfBoth(HostSet other)
    {
        int count = 0;
        for (int i = 0; i < _bits.Length; i++) count += BitOperations.PopCount(_bits[i] & other._bits[i]);
        return count;
    }

    internal HostSet And(HostSet other)
    {
        ulong[] both = [.. _bits];
        for (int i = 0; i < both.Length; i++) both[i] &= other._bits[i];
        return new HostSet(both);
    }

    public bool Equals(HostSet? other) => other is not null && _bits.AsSpan().SequenceEqual(other._bits);

    public override bool Equals(object? obj) => Equals(obj as HostSet);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (ulong word in _bits) hash.Add(word);
        return hash.ToHashCode();
    }
}
