using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Guest.Tests.Processes;

internal static class Specs
{
    /// <summary>The demo's devices on a small scale: two nets, one of them with P2P into the gpu, and a serial.</summary>
    public static LaunchSpec Full(bool incoming = false, ulong epoch = 1, int dirtyRateMiBps = 50) => new(
        "vm1", incoming, epoch, 1, MemoryMiB: 64, new LaunchVcpus(2, "hotset", dirtyRateMiBps, 42),
        [
            Device("net0", "net", ["gpu0"], ("dma-rate", "20"), ("p2p-rate", "200")),
            Device("gpu0", "gpu", [], ("memory-mib", "16"), ("dirty-rate", "20")),
            Device("serial0", "serial", []),
            Device("net1", "net", [], ("dma-rate", "10")),
        ]);

    /// <summary>A gpu with two devices that do P2P DMA into it, of which one cannot be quiet.</summary>
    public static LaunchSpec Legacy(bool removable, bool incoming = false) => new(
        "vm1", incoming, 1, 1, MemoryMiB: 64, new LaunchVcpus(2, "hotset", 20, 42),
        [
            Device("net0", "net", ["gpu0"], ("dma-rate", "5"), ("p2p-rate", "200")),
            Device("gpu0", "gpu", [], ("memory-mib", "8"), ("dirty-rate", "8")),
            Device("legacy0", "legacy", ["gpu0"], ("dma-rate", "5"), ("p2p-rate", "200")) with { PeerToPeerRemovable = removable },
        ]);

    /// <summary>One device, and vCPUs that write nothing by themselves.</summary>
    public static LaunchSpec Still(params LaunchDevice[] devices) => new(
        "vm1", false, 1, 1, MemoryMiB: 32, new LaunchVcpus(1, "uniform", 0, 1), devices);

    public static LaunchDevice Device(string name, string model, string[] peers, params (string Name, string Value)[] parameters) =>
        new(name, model, parameters.ToDictionary(p => p.Name, p => p.Value), peers);
}
