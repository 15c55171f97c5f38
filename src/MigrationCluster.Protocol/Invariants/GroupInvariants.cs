using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Invariants;

/// <summary>QuiescedBeforeStopped and its mirror: checked over the planned devices of one side whenever one has moved. A device that was
/// isolated is in no group any more: nobody can reach it.</summary>
public static class GroupInvariants
{
    /// <param name="devices">the members of one guest (no machine), with the states they stand in now.</param>
    /// <param name="masterless">fresh destination devices: their Running starts no DMA.</param>
    public static IEnumerable<Violation> Check(IReadOnlyCollection<PlannedDevice> devices, bool masterless)
    {
        if (masterless) yield break;
        foreach (var group in devices.Where(device => device.Standing != MemberStanding.Isolated)
            .GroupBy(device => device.Group).Where(group => group.Count() > 1))
        {
            var stopped = group.FirstOrDefault(device =>
                device.State is DeviceState.Stop or DeviceState.StopCopy or DeviceState.Resuming);
            var active = group.FirstOrDefault(device => device.State is DeviceState.Running or DeviceState.PreCopy);
            if (stopped is not null && active is not null)
                yield return new Violation("QuiescedBeforeStopped",
                    $"{active.Name} may start P2P DMA ({active.State}) while {stopped.Name} of its group is {stopped.State}");
        }
    }
}
