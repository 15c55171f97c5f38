namespace MigrationCluster.Protocol.Vfio;

/// <summary>VFIO migration v2 device states with their uAPI values (linux/vfio.h, enum vfio_device_mig_state).</summary>
public enum DeviceState : uint
{
    Error = 0,
    Stop = 1,
    Running = 2,
    StopCopy = 3,
    Resuming = 4,
    RunningP2P = 5,
    PreCopy = 6,
    PreCopyP2P = 7,
}

/// <summary>What a device can do, as probed by VFIO_DEVICE_FEATURE_MIGRATION (uAPI values).</summary>
[Flags]
public enum MigrationCapabilities : ulong
{
    None = 0,
    StopCopy = 1,
    P2P = 2,
    PreCopy = 4,
}
