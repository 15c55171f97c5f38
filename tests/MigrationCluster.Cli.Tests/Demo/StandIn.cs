using System.Diagnostics;

namespace MigrationCluster.Cli.Tests.Demo;

/// <summary>A folder with a shell script in it that plays one of the demo's processes, and what it started.</summary>
internal sealed class StandIn : IDisposable
{
    private readonly List<Process> _started = [];

    public StandIn(string name, string script)
    {
        Folder = Directory.CreateTempSubdirectory("mct-").FullName;
        Executable = Path.Combine(Folder, name);
        // Waits without a child process, and without end.
        File.WriteAllText(Executable, $"#!/bin/sh\nwait_forever() {{ exec 3<>\"{Folder}/fifo\"; read nothing <&3; }}\n{script}\n");
        if (OperatingSystem.IsLinux())
            File.SetUnixFileMode(Executable, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using var mkfifo = Process.Start("mkfifo", Path.Combine(Folder, "fifo"));
        mkfifo.WaitForExit();
    }

    public string Folder { get; }
    public string Executable { get; }

    /// <summary>Starts it; returns when it has printed a line.</summary>
    public Process Start(params string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(Executable, arguments) { RedirectStandardOutput = true })!;
        _started.Add(process);
        Assert.NotNull(process.StandardOutput.ReadLine());
        return process;
    }

    public void Dispose()
    {
        foreach (var process in _started)
        {
            process.Kill();
            process.Dispose();
        }
        Directory.Delete(Folder, recursive: true);
    }
}
