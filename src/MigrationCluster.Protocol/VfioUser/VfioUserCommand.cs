namespace MigrationCluster.Protocol.VfioUser;

/// <summary>Command numbers of vfio-user (docs/interop/vfio-user.rst in QEMU).</summary>
public enum VfioUserCommand : ushort
{
    Version = 1,
    DmaMap = 2,
    DmaUnmap = 3,
    DeviceGetInfo = 4,
    GetRegionInfo = 5,
    GetRegionIoFds = 6,
    GetIrqInfo = 7,
    SetIrqs = 8,
    RegionRead = 9,
    RegionWrite = 10,
    DmaRead = 11,
    DmaWrite = 12,
    Reset = 13,
    RegionWriteMulti = 15,
    DeviceFeature = 16,
    MigrationDataRead = 17,
    MigrationDataWrite = 18,
}

/// <summary>Commands of our extension (docs/vfio-user-extension.md); they share the number space with the standard's.</summary>
public enum ExtensionCommand : ushort
{
    Bind = 0x4d00,
    GetSetupRecord = 0x4d01,
    CheckSetup = 0x4d02,
    ReadDirty = 0x4d03,
    AckDirty = 0x4d04,
    ReadStream = 0x4d05,
    AckStream = 0x4d06,
    WriteStream = 0x4d07,
    GetStreamDigest = 0x4d08,
    GetContentDigest = 0x4d09,
    GetPreCopyBytes = 0x4d0a,
    Describe = 0x4d0b,
    CheckVersion = 0x4d0c,
    ShareStreamBuffer = 0x4d0e,
    GetMemoryLayout = 0x4d10,
    ReadFence = 0x4d11,
    CastVote = 0x4d12,
    SetPauseDeadline = 0x4d13,
    ShutDown = 0x4d14,
    IsolateDevice = 0x4d15,
    ThrottleVcpus = 0x4d16,
    ReadData = 0x4d17,
    WriteData = 0x4d18,
}
