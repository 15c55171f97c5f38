namespace MigrationCluster.Protocol.DataPlane;

/// <summary>What both sides must agree on before a byte moves; every header is validated against it.</summary>
/// <param name="PageCount">pages of guest RAM, through all windows.</param>
/// <param name="DeviceCount">device streams, the machine's included; at most <see cref="DataPlaneWire.MaxDevices"/>.</param>
public readonly record struct SessionShape(ulong PageCount, uint DeviceCount);

/// <summary>Which way, and on what kind of channel, a frame travels.</summary>
public enum FrameRoute
{
    DeviceChannel,
    PageChannel,
    Back,
}
