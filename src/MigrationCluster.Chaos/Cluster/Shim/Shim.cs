namespace MigrationCluster.Chaos.Cluster.Shim;

/// <summary>shim.c, compiled for a run and preloaded into every process of its daemons' hosts; faults ask it for what they want by files.</summary>
internal sealed class Shim(string folder)
{
    private const string Source = "shim.c";

    private static readonly string? Compiler = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Select(path => Path.Combine(path, "gcc")).FirstOrDefault(File.Exists);

    private string Library => Path.Combine(folder, "shim.so");

    public static string? Missing() => Compiler is null ? "needs gcc, to compile what is preloaded into daemons" : null;

    /// <exception cref="IOException">what the compiler said.</exception>
    public void Build()
    {
        string source = Path.Combine(folder, Source);
        using (var resource = typeof(Shim).Assembly.GetManifestResourceStream(Source)!)
        using (var file = File.Create(source)) resource.CopyTo(file);
        Shell.Run(Compiler!, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", Library, source, "-ldl");
    }

    /// <summary>What a daemon's command begins with; nothing where there is none in this run.</summary>
    public string[] Around(string daemon)
    {
        if (!File.Exists(Library)) return [];
        Directory.CreateDirectory(Folder(daemon));
        return ["env", $"LD_PRELOAD={Library}", $"MC_SHIM={Folder(daemon)}"];
    }

    /// <summary>Moved to its place whole: it is read at any time.</summary>
    public void Ask(string daemon, string what, string content = "")
    {
        string asked = Path.Combine(Folder(daemon), what);
        File.WriteAllText(asked + ".new", content);
        File.Move(asked + ".new", asked, overwrite: true);
    }

    /// <returns>whether it was still asked: "torn" is no longer, once a write has taken it.</returns>
    public bool Leave(string daemon, string what)
    {
        string left = Path.Combine(Folder(daemon), what + ".left");
        try
        {
            // Unlike a deletion, a move says whether it was there, and only one of two takes it.
            File.Move(Path.Combine(Folder(daemon), what), left, overwrite: true);
        }
        catch (FileNotFoundException)
        {
            return false;
        }

        File.Delete(left);
        return true;
    }

    private string Folder(string daemon) => Path.Combine(folder, $"{daemon}.shim");
}
