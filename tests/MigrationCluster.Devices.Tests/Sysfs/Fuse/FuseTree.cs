namespace MigrationCluster.Devices.Tests.Sysfs.Fuse;

/// <summary>Directories, links and attributes by path; directories come into being with what is in them.</summary>
internal sealed class FuseTree
{
    internal const ulong RootId = 1;

    private readonly List<FuseNode> _nodes = [new FuseNode.Folder([])];

    /// <summary>null: no such node.</summary>
    internal FuseNode? this[ulong id] => id - 1 < (ulong)_nodes.Count ? _nodes[(int)id - 1] : null;

    internal FuseTree Folder(string path)
    {
        Enter(path.Split('/'));
        return this;
    }

    internal FuseTree Link(string path, string target) => Add(path, new FuseNode.Link(target));

    internal FuseTree Text(string path, string content) => Attribute(path, () => FuseAnswer.Text(content));

    internal FuseTree Bytes(string path, byte[] content) => Attribute(path, () => new FuseAnswer(0, content));

    internal FuseTree Attribute(string path, Func<FuseAnswer> read, Func<byte[], int>? write = null) =>
        Add(path, new FuseNode.Attribute(read, write));

    /// <summary>From within an attribute's write, as a driver removes a device.</summary>
    internal FuseTree Remove(string path)
    {
        string[] parts = path.Split('/');
        Enter(parts[..^1]).Entries.Remove(parts[^1]);
        return this;
    }

    private FuseTree Add(string path, FuseNode node)
    {
        string[] parts = path.Split('/');
        Enter(parts[..^1]).Entries[parts[^1]] = NewId(node);
        return this;
    }

    private FuseNode.Folder Enter(string[] parts)
    {
        var folder = (FuseNode.Folder)_nodes[0];
        foreach (string part in parts)
        {
            if (!folder.Entries.TryGetValue(part, out ulong id))
                folder.Entries[part] = id = NewId(new FuseNode.Folder([]));
            folder = (FuseNode.Folder)this[id]!;
        }
        return folder;
    }

    private ulong NewId(FuseNode node)
    {
        _nodes.Add(node);
        return (ulong)_nodes.Count;
    }
}
