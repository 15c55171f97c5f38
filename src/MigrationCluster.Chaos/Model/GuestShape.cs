using System.Collections.Immutable;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Model;

/// <summary>The devices a guest has, with its machine.</summary>
internal static class GuestShape
{
    private const MigrationCapabilities All =
        MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;

    /// <summary>A group of two and a device that is alone and knows neither P2P nor PRE_COPY.</summary>
    public static readonly ImmutableArray<PlannedDevice> PairAndLoner =
        Of(("net0", All, 0), ("gpu0", All, 0), ("serial0", MigrationCapabilities.StopCopy, 1));

    /// <summary>Three devices that do P2P DMA into each other.</summary>
    public static readonly ImmutableArray<PlannedDevice> GroupOfThree =
        Of(("gpu0", All, 0), ("gpu1", All, 0), ("net0", All, 0));

    /// <summary>The fewest devices for which a group exists.</summary>
    public static readonly ImmutableArray<PlannedDevice> Pair = Of(("gpu0", All, 0), ("net0", All, 0));

    /// <summary>One device; ownership is what is looked at.</summary>
    public static readonly ImmutableArray<PlannedDevice> Single = Of(("net0", All, 0));

    private static ImmutableArray<PlannedDevice> Of(params (string Name, MigrationCapabilities Capabilities, int Group)[] kinds) =>
    [
        .. kinds.Select(kind => new PlannedDevice(
            new DeviceName(kind.Name), kind.Capabilities, kind.Group, DeviceState.Running)),
        new PlannedDevice(DeviceName.Machine, MigrationCapabilities.StopCopy, kinds.Length, DeviceState.Running),
    ];
}
