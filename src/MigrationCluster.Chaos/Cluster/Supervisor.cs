using System.Diagnostics;
using System.Text.Json;
using MigrationCluster.Chaos.Cluster.Faults;
using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>
/// Whoever makes the folder, the namespaces and the mounts of a run, starts the process that does it inside them, and takes everything away again,
/// however that process ends. It tells its child to end through its standard input: closed, also by this process's death, it means stop.
/// </summary>
internal static class Supervisor
{
    private const string SettingsFile = "settings.json";
    private const string ReportFile = "report.json";

    /// <summary>As the child's command line names it; hidden from help.</summary>
    public const string Inside = "run-inside";

    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Whatever TMPDIR says: socket paths end at 107 bytes.</summary>
    private const string Runs = "/tmp";

    public static string NewFolder() => $"{Runs}/mcx-" + Convert.ToHexStringLower(Guid.NewGuid().ToByteArray().AsSpan(0, 3));

    /// <returns>the report, with what could not be taken away in it; null: the run did not come to one.</returns>
    public static async Task<ChaosReport?> RunAsync(ChaosSettings settings)
    {
        using var interruption = new Interruption();
        Directory.CreateDirectory(settings.Report);
        string file = Path.Combine(settings.Report, ReportFile);
        File.Delete(file);
        ChaosReport? report = null;
        var left = await HoldAsync(settings, () =>
        {
            report = File.Exists(file) ? JsonSerializer.Deserialize<ChaosReport>(File.ReadAllText(file), Json) : null;
            return report is { Verdict: ChaosReport.Violated };
        }, interruption.Token);
        Console.WriteLine(left.Count == 0
            ? "Nothing is left behind: no process, no namespace, no mount, no file but the report."
            : $"{left.Count} things are left behind.");
        if (report is null) return null;
        report = report.With([.. left.Select(one => $"left behind: {one}")]);
        Write(report);
        return report;
    }

    /// <summary>Makes everything of a run, has its child do it, and takes everything away again.</summary>
    /// <param name="failed">asked when the child has ended: whether its journals and logs are to be kept with the report.</param>
    /// <returns>what could not be taken away.</returns>
    public static async Task<IReadOnlyList<string>> HoldAsync(ChaosSettings settings, Func<bool> failed, CancellationToken interrupted)
    {
        IReadOnlyList<string> left = [];
        foreach (string orphan in await CleanUp.SweepOrphansAsync(Runs)) await Console.Error.WriteLineAsync($"mc-chaos: took away {orphan}, whose starter was killed");
        using var own = CleanUp.Own(settings.Folder);
        try
        {
            Prepare(settings);
            if (!interrupted.IsCancellationRequested) await RunInsideAsync(settings, interrupted);
            if (failed()) KeepEvidence(settings);
        }
        finally
        {
            left = await CleanUp.SweepAsync(settings.Folder);
        }

        foreach (string one in left) Console.Error.WriteLine($"mc-chaos: left behind: {one}");
        return left;
    }

    /// <summary>The child: does the run that its folder describes and leaves its report.</summary>
    public static async Task<int> RunInsideAsync(string folder)
    {
        var settings = JsonSerializer.Deserialize<ChaosSettings>(await File.ReadAllTextAsync(Path.Combine(folder, SettingsFile)), Json)!;
        using var stop = new CancellationTokenSource();
        _ = Task.Run(() =>
        {
            while (Console.In.Read() >= 0)
            {
                // Nothing is ever said: its end is what counts.
            }

            stop.Cancel();
        });
        if (settings.Cases is not null)
        {
            await new MatrixRun(settings, Console.Error.WriteLine).RunAsync(stop.Token);
            return 0;
        }

        var report = await new ChaosRun(settings, Console.WriteLine).RunAsync(stop.Token);
        await File.WriteAllTextAsync(Path.Combine(settings.Report, ReportFile), JsonSerializer.Serialize(report, Json));
        return 0;
    }

    private static void Prepare(ChaosSettings settings)
    {
        if (OperatingSystem.IsWindows()) throw new IOException("the nodes run on Linux");
        // A database runs as another user, and has to get through.
        File.SetUnixFileMode(settings.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute);
        File.WriteAllText(Path.Combine(settings.Folder, SettingsFile), JsonSerializer.Serialize(settings, Json));
        if (settings.Faults.Any(name => Fault.Find(name) is ShimFault)) new Shim.Shim(settings.Folder).Build();
        if (settings.Namespaces) new Network(Path.GetFileName(settings.Folder)).Make(settings);
        if (!settings.Mounts) return;
        foreach (string host in settings.Hosts)
        {
            string data = Directory.CreateDirectory(Path.Combine(settings.Folder, host)).FullName;
            // Half an hour of migrations leaves 50 MiB of journal; what is more is filled by full-disk alone.
            Shell.Run("mount", "-t", "tmpfs", "-o", "size=192m", "mcx", data);
        }
    }

    private static async Task RunInsideAsync(ChaosSettings settings, CancellationToken interrupted)
    {
        string[] command =
        [
            .. settings.Namespaces ? Network.InHub(Path.GetFileName(settings.Folder)) : [], "setsid", "--wait",
            Environment.ProcessPath!, .. Path.GetFileName(Environment.ProcessPath) == "dotnet" ? (string[])[typeof(Supervisor).Assembly.Location] : [],
            Inside, settings.Folder,
        ];
        using var child = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardInput = true })!;
        await using var asked = interrupted.Register(child.StandardInput.Close);
        await child.WaitForExitAsync(CancellationToken.None);
    }

    /// <summary>Journals, fences and logs as they stand, before they are taken away.</summary>
    private static void KeepEvidence(ChaosSettings settings)
    {
        foreach (string file in Directory.EnumerateFiles(settings.Folder, "*", new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true })
            .Where(file => file.EndsWith(".log", StringComparison.Ordinal) || file.Contains(".db", StringComparison.Ordinal) || Path.GetFileName(file) == "fence"))
        {
            string kept = Path.Combine(settings.Report, "evidence", Path.GetFileName(settings.Folder), Path.GetRelativePath(settings.Folder, file));
            Directory.CreateDirectory(Path.GetDirectoryName(kept)!);
            File.Copy(file, kept, overwrite: true);
        }
    }

    private static void Write(ChaosReport report)
    {
        File.WriteAllText(Path.Combine(report.Settings.Report, ReportFile), JsonSerializer.Serialize(report, Json));
        File.WriteAllText(Path.Combine(report.Settings.Report, "report.txt"), report.Text());
        File.WriteAllText(Path.Combine(report.Settings.Report, "report.html"), HtmlReport.Write(report));
    }
}
