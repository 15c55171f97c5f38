namespace MigrationCluster.Chaos.Cluster;

/// <summary>Takes away whatever of a run is left: processes, namespaces, mounts, files. Safe to be called twice.</summary>
internal static class CleanUp
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    /// <returns>what is still there afterwards; empty normally.</returns>
    public static async Task<IReadOnlyList<string>> SweepAsync(string folder)
    {
        string run = Path.GetFileName(folder);
        var limit = DateTime.UtcNow + Limit;
        for (var alive = Processes.Naming(folder); alive.Count > 0 && DateTime.UtcNow < limit; alive = Processes.Naming(folder))
        {
            foreach (var (id, _) in alive) Processes.Send(id, Processes.Kill);
            await Task.Delay(50);
        }

        var trouble = new List<string>();
        void Try(Action step)
        {
            try
            {
                step();
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                trouble.Add(error.Message);
            }
        }

        foreach (string name in Network.All(run)) Try(() => Shell.Run("ip", "netns", "delete", name));
        foreach (string mount in Mounts(folder)) Try(() => Shell.Run("umount", mount));
        if (Directory.Exists(folder)) Try(() => Directory.Delete(folder, recursive: true));
        return
        [
            .. trouble, .. Processes.Naming(folder).Select(process => $"process {process.Id}: {process.Command}"),
            .. Network.All(run).Select(name => $"namespace {name}"), .. Mounts(folder).Select(mount => $"mount {mount}"),
            .. Directory.Exists(folder) ? (string[])[$"folder {folder}"] : [],
        ];
    }

    private static IEnumerable<string> Mounts(string folder) => File.ReadAllLines("/proc/self/mounts")
        .Select(line => line.Split(' ')[1]).Where(mount => mount.StartsWith(folder + "/", StringComparison.Ordinal));
}
