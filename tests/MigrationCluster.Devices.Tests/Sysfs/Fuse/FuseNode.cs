namespace MigrationCluster.Devices.Tests.Sysfs.Fuse;

/// <summary>One entry of a <see cref="FuseTree"/>.</summary>
internal abstract record FuseNode
{
    internal sealed record Folder(SortedDictionary<string, ulong> Entries) : FuseNode;

    internal sealed record Link(string Target) : FuseNode;

    /// <param name="Read">a driver's show().</param>
    /// <param name="Write">a driver's store(): bytes taken, or a negative errno; null: not writable.</param>
    internal sealed record Attribute(Func<FuseAnswer> Read, Func<byte[], int>? Write) : FuseNode;
}
