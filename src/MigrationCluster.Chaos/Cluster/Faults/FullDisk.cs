using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>The file system that a host's data is on, a tmpfs of its own, filled to the last byte.</summary>
internal sealed class FullDisk : Fault
{
    public override string Name => "full-disk";

    public override string Help => "the data folder of a host has no byte left: target, seconds";

    public override string? Missing(ChaosSettings settings) => settings.Mounts ? null : "needs the right to mount a tmpfs";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) =>
        With(("target", One(random, settings.Hosts)), Seconds(random, 0.5, 4));

    public override SortedDictionary<string, string>? At(Scene scene) =>
        scene.Host is { } host ? With(("target", host), ("seconds", "1.5")) : null;

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        string ballast = Path.Combine(cluster.PathOf(strike["target"]), "ballast");
        try
        {
            await using var file = new FileStream(ballast, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
            byte[] bytes = new byte[4096];
            while (true) await file.WriteAsync(bytes, CancellationToken.None);
        }
        catch (IOException)
        {
            // Full.
        }

        await HoldAsync(strike, healing);
        File.Delete(ballast);
    }
}
