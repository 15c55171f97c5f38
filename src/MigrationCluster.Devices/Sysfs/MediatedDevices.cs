using System.Text;
using MigrationCluster.Devices.Native;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>Creates and removes mediated devices: mdev_supported_types/&lt;type&gt;/create and bus/mdev/devices/&lt;uuid&gt;/remove.</summary>
/// <param name="root">/sys, or a tree of the same form.</param>
public sealed class MediatedDevices(string root = "/sys")
{
    private const string Bus = "bus/mdev/devices";

    /// <summary>How many more of a type could be created now, over all of its parents, or on the one given.</summary>
    /// <returns>null: no parent has the type.</returns>
    public int? Available(string type, string? parent) =>
        TypesOf(type, parent).ToList() is { Count: > 0 } found ? found.Sum(entry => entry.AvailableInstances ?? 0) : null;

    /// <summary>Creates one on the first parent that has an instance left.</summary>
    /// <exception cref="IOException">no parent has the type or an instance of it left, or the driver refuses: its errno.</exception>
    public void Create(string type, string? parent, Guid uuid)
    {
        var found = TypesOf(type, parent).ToList();
        if (found.Count == 0)
            throw new IOException($"no parent of mediated devices {(parent is null ? "" : $"named {parent} ")}has the type {type}");
        var chosen = found.Find(entry => entry.AvailableInstances > 0)
            ?? throw new IOException($"no instance of the mediated type {type} is left on {string.Join(", ", found.Select(entry => entry.Parent))}");
        var result = AttributeFile.Write($"{chosen.Path}/create", Encoding.ASCII.GetBytes($"{uuid}\n"), out _);
        if (result.Failed)
            throw new IOException($"{chosen.Parent} created no {type}: {chosen.Path}/create answers {result.ErrnoText}");
    }

    public bool Exists(Guid uuid) => Directory.Exists($"{root}/{Bus}/{uuid}");

    /// <summary>Removes one; the kernel waits until nobody has it open. One that does not exist is removed already.</summary>
    /// <exception cref="IOException">the driver refuses: its errno.</exception>
    public void Remove(Guid uuid)
    {
        if (!Exists(uuid)) return;
        string path = $"{root}/{Bus}/{uuid}/remove";
        var result = AttributeFile.Write(path, "1\n"u8, out _);
        if (result.Failed && Exists(uuid)) throw new IOException($"mediated device {uuid} was not removed: {path} answers {result.ErrnoText}");
    }

    private IEnumerable<MdevType> TypesOf(string type, string? parent) =>
        MdevReader.Read(new SysfsDirectory(root, [])).Types.Where(entry => entry.Name == type && (parent is null || entry.Parent == parent));
}
