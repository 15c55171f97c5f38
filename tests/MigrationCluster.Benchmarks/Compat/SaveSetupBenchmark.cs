using System.Diagnostics;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Benchmarks.Compat;

/// <summary>
/// save_setup of a guest's devices: each source endpoint gives its record, each destination endpoint judges it; all side by side, over the
/// endpoints of two guest processes. Loopback between the daemons is left out: two messages a migration.
/// </summary>
internal static class SaveSetupBenchmark
{
    private const int Devices = 8;
    private const int WarmUps = 5;
    private const int Repetitions = 25;

    internal static async Task RunAsync(Figures figures, double noise, CancellationToken cancellationToken)
    {
        string[] models = ["net", "gpu", "serial", "net"];
        LaunchDevice[] devices = [.. Enumerable.Range(0, Devices).Select(number =>
            new LaunchDevice($"device{number}", models[number % models.Length], new Dictionary<string, string>(), []))];
        await using var source = await BenchGuest.StartAsync(incoming: false, devices, cancellationToken);
        await using var destination = await BenchGuest.StartAsync(incoming: true, devices, cancellationToken);
        var milliseconds = new List<double>();
        for (int repetition = -WarmUps; repetition < Repetitions; repetition++)
        {
            long start = Stopwatch.GetTimestamp();
            var verdicts = await Task.WhenAll(devices.Select(async device => await destination.Devices[device.Name].CheckSetupAsync(
                await source.Devices[device.Name].GetSetupRecordAsync(cancellationToken), cancellationToken)));
            if (repetition >= 0) milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            if (Array.Find(verdicts, verdict => verdict is not Compatible) is { } refused) throw new InvalidOperationException($"{refused}");
        }
        figures.PrintSpread($"save-setup.{Devices}-devices", milliseconds, "ms");
        figures.Within($"save-setup.{Devices}-devices.time", Figures.Median(milliseconds), "ms", 50, noise);
    }
}
