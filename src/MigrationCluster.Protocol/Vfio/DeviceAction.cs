namespace MigrationCluster.Protocol.Vfio;

/// <summary>What may be done to a device, or by it, depending on its state and back end.</summary>
[Flags]
public enum DeviceAction
{
    None = 0,

    /// <summary>Reading and writing regions: registers, config space, device memory.</summary>
    RegisterAccess = 1,

    /// <summary>The device reads and writes guest RAM.</summary>
    OutgoingDma = 2,

    /// <summary>The device starts DMA into a peer's regions.</summary>
    OutgoingP2P = 4,

    /// <summary>The device takes DMA from a peer into its own regions.</summary>
    IncomingP2P = 8,

    /// <summary>Binding and unbinding of interrupt eventfds.</summary>
    InterruptSetup = 16,

    /// <summary>Mapping and unmapping of DMA windows.</summary>
    DmaMap = 32,

    /// <summary>Reading the state stream.</summary>
    DataRead = 64,

    /// <summary>Writing the state stream.</summary>
    DataWrite = 128,

    /// <summary>Reading the log of DMA writes.</summary>
    DirtyReport = 256,
}

/// <summary>Where a device lives; each back end has its own table of allowed actions.</summary>
public enum BackEnd
{
    Kernel = 1,
    VfioUser = 2,
}
