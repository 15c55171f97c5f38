using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace MigrationCluster.Cli.Tests.Demo;

/// <summary>The real migctl, as an operator runs it, in a process of its own.</summary>
internal sealed partial class DemoProcess : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    private readonly Process _process;
    private readonly StringBuilder _narration = new();

    private DemoProcess(Process process) => _process = process;

    /// <summary>Where the build puts it, beside the folder of these tests.</summary>
    public static string Migctl { get; } = Path.GetFullPath(Path.Combine(
        AppContext.BaseDirectory, "..", "..", "MigrationCluster.Cli",
        Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "migctl"));

    public string Narration => _narration.ToString();

    /// <summary>The demo's own folder, from its first line.</summary>
    public string Folder => FolderName().Match(Narration) is { Success: true } match
        ? match.Value
        : throw new InvalidOperationException($"no folder was named:\n{Narration}");

    /// <summary>Where signals count, also when these tests run under nohup or in the background of a script: what ignores a signal inherits
    /// that to its children.</summary>
    public static DemoProcess Start(params string[] arguments) => new(Process.Start(
        new ProcessStartInfo("env", ["--default-signal=HUP,INT,QUIT,TERM", Migctl, "demo", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!);

    /// <summary>One command to its end.</summary>
    public static async Task<Ran> RunAsync(string file, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(Limit);
        return new Ran(process.ExitCode, await output, await error);
    }

    /// <summary>Reads what it says on stdout until a line has <paramref name="part"/> in it.</summary>
    public async Task UntilItSaysAsync(string part)
    {
        while (await _process.StandardOutput.ReadLineAsync().WaitAsync(Limit) is { } line)
        {
            _narration.AppendLine(line);
            if (line.Contains(part)) return;
        }
        Assert.Fail($"it never said '{part}':\n{Narration}{await _process.StandardError.ReadToEndAsync()}");
    }

    /// <summary>At once: a demo is over in a second.</summary>
    public void Signal(int signal) => Assert.Equal(0, Kill(_process.Id, signal));

    /// <returns>all of it: exit code, stdout and stderr.</returns>
    public async Task<Ran> EndAsync()
    {
        var error = _process.StandardError.ReadToEndAsync();
        _narration.Append(await _process.StandardOutput.ReadToEndAsync().WaitAsync(Limit));
        await _process.WaitForExitAsync().WaitAsync(Limit);
        return new Ran(_process.ExitCode, Narration, await error);
    }

    /// <summary>Nobody of any name has the folder in the arguments, and the folder is gone.</summary>
    public static void AssertNothingLeft(string folder)
    {
        var left = new List<string>();
        foreach (string entry in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(entry), out _)) continue;
            try
            {
                string command = File.ReadAllText(Path.Combine(entry, "cmdline"));
                if (command.Contains(folder)) left.Add($"{entry}: {command.Replace('\0', ' ')}");
            }
            catch (IOException)
            {
                // It has just ended.
            }
        }
        Assert.Empty(left);
        Assert.False(Path.Exists(folder), $"{folder} is still there");
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);

    [GeneratedRegex("/tmp/mcd-[0-9a-f]+")]
    private static partial Regex FolderName();
}
