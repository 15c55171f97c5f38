using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Node.Guests;

/// <summary>The files of one guest on this host, and the kernel devices its launch file names. The fence file and its lock are never removed:
/// epochs only grow.</summary>
/// <param name="sysfs">root of the tree that mediated devices are created and removed in.</param>
public sealed class GuestFolder(string path, string sysfs)
{
    private const int TailLines = 12;

    public string Path => path;

    public string Log => System.IO.Path.Combine(path, GuestFiles.Log);

    /// <summary>The guest process writes its id when every one of its sockets listens.</summary>
    public bool IsReady => File.Exists(System.IO.Path.Combine(path, GuestFiles.ProcessId));

    /// <returns>null: there is none that can be read.</returns>
    public LaunchSpec? ReadLaunch()
    {
        try
        {
            return JsonSerializer.Deserialize(
                File.ReadAllText(System.IO.Path.Combine(path, GuestFiles.LaunchSpec)), NodeJson.Indented.Of<LaunchSpec>());
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Makes the folder ready for a launch: nothing of an earlier process but fence and last log.</summary>
    public void Prepare(LaunchSpec spec)
    {
        Directory.CreateDirectory(path);
        Clear();
        if (File.Exists(Log)) File.Move(Log, Log + ".old", overwrite: true);
        string file = System.IO.Path.Combine(path, GuestFiles.LaunchSpec);
        File.WriteAllText(file + ".tmp", JsonSerializer.Serialize(spec, NodeJson.Indented.Of<LaunchSpec>()) + "\n");
        File.Move(file + ".tmp", file);
        KernelDevices.Create(spec, sysfs);
    }

    /// <summary>Removes what a dead process leaves: the mediated devices made for it, sockets, process ids, its launch file.</summary>
    /// <exception cref="IOException">a mediated device cannot be removed; the launch file that names it stays.</exception>
    public void Clear()
    {
        if (!Directory.Exists(path)) return;
        if (ReadLaunch() is { } launch) KernelDevices.Remove(launch, sysfs);
        foreach (string file in Directory.EnumerateFiles(path))
            if (IsLeftover(System.IO.Path.GetFileName(file)))
                File.Delete(file);
    }

    /// <summary>The last lines the guest process wrote, in one line.</summary>
    public string LogTail()
    {
        try
        {
            var lines = File.ReadLines(Log).Where(line => line.Length > 0).TakeLast(TailLines).ToList();
            return lines.Count == 0 ? "it wrote nothing" : string.Join(" | ", lines);
        }
        catch (IOException)
        {
            return $"{Log} cannot be read";
        }
    }

    private static bool IsLeftover(string name) =>
        name is GuestFiles.LaunchSpec or GuestFiles.ProcessId or GuestFiles.DeviceServers
        || name.EndsWith(".sock", StringComparison.Ordinal) || name.EndsWith(".dev", StringComparison.Ordinal)
        || name.EndsWith(".tmp", StringComparison.Ordinal);
}
