namespace MigrationCluster.Protocol.Guests;

/// <summary>
/// Region 0 of the machine endpoint: 64-bit little-endian registers through which the guest reports on itself.
/// The vCPUs execute a self-check when <see cref="CheckRequest"/> is written; it is done when
/// <see cref="CheckDone"/> equals the number written. Reading is always allowed; writing needs a running machine.
/// </summary>
public static class MachineRegisters
{
    public const int Region = 0;
    public const ulong SizeBytes = 4096;

    /// <summary>Write a number to ask the vCPUs to check all of guest RAM and the devices' DMA areas.</summary>
    public const ulong CheckRequest = 0x00;

    /// <summary>The number of the last self-check that has finished.</summary>
    public const ulong CheckDone = 0x08;

    /// <summary>Pages looked at by the last finished self-check.</summary>
    public const ulong CheckPages = 0x10;

    /// <summary>Pages found lost, stale or torn by the last finished self-check, DMA areas included.</summary>
    public const ulong CheckWrong = 0x18;

    /// <summary>Page writes by all vCPUs since the guest started; part of the machine's state.</summary>
    public const ulong PageWrites = 0x20;

    /// <summary>Errors the vCPUs have met in their ordinary work since the guest started (stale pages, device registers).</summary>
    public const ulong WorkErrors = 0x28;

    /// <summary>Device register operations by all vCPUs since the guest started.</summary>
    public const ulong RegisterOperations = 0x30;

    /// <summary>Interrupts received from devices since the guest started.</summary>
    public const ulong Interrupts = 0x38;

    /// <summary>P2P writes refused because the peer stood still; of this guest process only.</summary>
    public const ulong PeerWritesRefused = 0x40;

    /// <summary>Devices that were left behind, a bit a slot: nothing of them is mapped for a peer any more; of this guest process only.</summary>
    public const ulong IsolatedDevices = 0x48;
}

/// <summary>Parameters of the machine's setup record that others than the machine read.</summary>
public static class MachineParameters
{
    /// <summary>The P2P mappings of the guest (<see cref="Migration.PeerGraph.Write"/>).</summary>
    public const string PeerToPeer = "peer-to-peer";
}
