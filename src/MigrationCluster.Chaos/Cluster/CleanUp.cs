namespace MigrationCluster.Chaos.Cluster;

/// <summary>Takes away whatever of a run is left: processes, namespaces, mounts, files. Safe to be called twice.</summary>
internal static class CleanUp
{
    private const string OwnFile = "own";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    /// <summary>Between its making and its lock the file of a run that is just starting looks as one without an owner.</summary>
    private static readonly TimeSpan Starting = TimeSpan.FromSeconds(5);

    /// <summary>Makes a run's folder, this process's for as long as what is returned is open, which the kernel ends with the process.</summary>
    public static IDisposable Own(string folder)
    {
        Directory.CreateDirectory(folder);
        return new FileStream(Path.Combine(folder, OwnFile), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
    }

    /// <summary>Takes away runs whose starter was killed before it could.</summary>
    /// <param name="under">where runs have their folders.</param>
    /// <returns>the folders of those.</returns>
    public static async Task<IReadOnlyList<string>> SweepOrphansAsync(string under)
    {
        string[] orphans = [.. Directory.EnumerateDirectories(under, "mcx-*").Where(IsOrphan)];
        foreach (string folder in orphans) await SweepAsync(folder);
        return orphans;
    }

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
        // A process that was just killed may hold its files for a moment after it has lost its name.
        while (Mounts(folder).Where(mount => !Unmount(mount)).ToList() is { Count: > 0 } && DateTime.UtcNow < limit) await Task.Delay(100);
        if (Directory.Exists(folder)) Try(() => Directory.Delete(folder, recursive: true));
        return
        [
            .. trouble, .. Processes.Naming(folder).Select(process => $"process {process.Id}: {process.Command}"),
            .. Network.All(run).Select(name => $"namespace {name}"), .. Mounts(folder).Select(mount => $"mount {mount}"),
            .. Directory.Exists(folder) ? (string[])[$"folder {folder}"] : [],
        ];
    }

    private static bool Unmount(string mount)
    {
        try
        {
            Shell.Run("umount", mount);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static bool IsOrphan(string folder)
    {
        string own = Path.Combine(folder, OwnFile);
        if (!File.Exists(own) || File.GetLastWriteTimeUtc(own) > DateTime.UtcNow - Starting) return false;
        try
        {
            using var free = new FileStream(own, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static IEnumerable<string> Mounts(string folder) => File.ReadAllLines("/proc/self/mounts")
        .Select(line => line.Split(' ')[1]).Where(mount => mount.StartsWith(folder + "/", StringComparison.Ordinal));
}
