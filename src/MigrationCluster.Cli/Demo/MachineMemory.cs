using System.Globalization;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>Both hosts of the demo are this machine: better to say so than to be killed half-way.</summary>
public static class MachineMemory
{
    /// <exception cref="ApiException">less is available.</exception>
    public static void Require(int neededMiB)
    {
        if (AvailableMiB(File.ReadAllLines("/proc/meminfo")) is not { } available || available >= neededMiB) return;
        throw new ApiException(
            new ApiError("demo.memory", "this machine has not enough free memory for the demo",
                [new Reason("demo.memory",
                    $"{neededMiB} MiB are needed, as both hosts hold the guest for a while; {available} MiB are available",
                    "give the guest less with --memory, or fewer gpus with --devices")]),
            ApiException.Unreachable);
    }

    /// <returns>null when the kernel does not say.</returns>
    internal static long? AvailableMiB(IEnumerable<string> meminfo)
    {
        foreach (string line in meminfo)
        {
            if (!line.StartsWith("MemAvailable:", StringComparison.Ordinal)) continue;
            string number = line["MemAvailable:".Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
            if (long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long kib)) return kib / 1024;
        }
        return null;
    }
}
