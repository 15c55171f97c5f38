using System.Globalization;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>A guest's directory on one host and its processes there, as somebody sees them who asks no daemon.</summary>
internal sealed record HostFolder(string Directory)
{
    /// <summary>The guest process, which writes its id once it is ready; null: there is none.</summary>
    public int? Guest => ReadLines(GuestFiles.ProcessId).Select(Number).FirstOrDefault(Runs)
        ?? Processes.Naming(Directory).Where(process => process.Command.EndsWith($" run --directory {Directory}", StringComparison.Ordinal)).Select(process => (int?)process.Id).FirstOrDefault();

    /// <summary>Device servers that live, by device.</summary>
    public IReadOnlyDictionary<string, int> Servers => ReadLines(GuestFiles.DeviceServers)
        .Select(line => line.Split(' ')).Where(parts => parts.Length > 1 && Runs(Number(parts[1])))
        .GroupBy(parts => parts[0]).ToDictionary(group => group.Key, group => Number(group.Last()[1])!.Value);

    public string PathOf(string file) => Path.Combine(Directory, file);

    /// <summary>Processes and files that only a living guest has: its fence and its log stay for good.</summary>
    public IEnumerable<string> Leftovers() => Processes.Naming(Directory + "/").Select(process => $"process {process.Id}: {process.Command}")
        .Concat(!System.IO.Directory.Exists(Directory) ? [] : System.IO.Directory.EnumerateFiles(Directory).Where(file =>
            !Path.GetFileName(file).StartsWith(GuestFiles.Fence, StringComparison.Ordinal)
            && !Path.GetFileName(file).StartsWith(GuestFiles.Log, StringComparison.Ordinal)));

    private static bool Runs(int? process) => process is { } id && Processes.Lives(id);

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : null;

    private string[] ReadLines(string file)
    {
        try
        {
            return File.ReadAllLines(PathOf(file));
        }
        catch (IOException)
        {
            return [];
        }
    }
}
