using System.Runtime.InteropServices;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>A question over a fleet reads millions of list items: not through an interface, where the list is one of the usual two.</summary>
internal static class Items
{
    public static ReadOnlySpan<T> Of<T>(IReadOnlyList<T> list) => list switch
    {
        T[] array => array,
        List<T> items => CollectionsMarshal.AsSpan(items),
        _ => list.ToArray(),
    };
}
