using System.Text;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>A failpoint armed so that the process stands still there (SIGSTOP to itself), and what strikes then.</summary>
internal sealed class Stand(ChaosCluster cluster, Scene scene, string point, Func<Scene, Strike> strike)
{
    private const string Action = "stop";
    private long _from;

    public Scene Scene => scene;

    /// <summary>As the environment of the process says it.</summary>
    public string Armed => $"{point}={Action}";

    public bool Fired { get; private set; }

    private string Log => scene.InGuest ? cluster.Files(scene.Host!, scene.Guest).PathOf(GuestFiles.Log) : cluster.PathOf(scene.Daemon + ".log");

    /// <summary>What has been said until now is of earlier cases.</summary>
    public void Begin() => _from = File.Exists(Log) ? new FileInfo(Log).Length : 0;

    /// <returns>the strike, once: the process has just come to its place.</returns>
    public Strike? Poll()
    {
        // It says so before it stands still: let go on in between, it would stand still for ever.
        if (Fired || !Says($"failpoint {point}: {Action}") || (Process is { } process && Processes.Lives(process) && !Processes.StandsStill(process))) return null;
        Fired = true;
        return strike(scene);
    }

    /// <summary>The process that stands still.</summary>
    public int? Process => scene.InGuest ? cluster.Files(scene.Host!, scene.Guest).Guest : cluster.Daemon(scene.Daemon).Id;

    private bool Says(string text)
    {
        if (!File.Exists(Log)) return false;
        using var file = new FileStream(Log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        // A guest process that is launched anew begins a log of its own.
        if (file.Length < _from) _from = 0;
        file.Seek(_from, SeekOrigin.Begin);
        using var reader = new StreamReader(file, Encoding.UTF8);
        return reader.ReadToEnd().Contains(text, StringComparison.Ordinal);
    }
}
