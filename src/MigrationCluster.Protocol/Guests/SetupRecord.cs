using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Protocol.Guests;

/// <summary>What one source device says of itself at save_setup, before any source device leaves Running.</summary>
/// <param name="Slot">the device's place in the guest, from 0 in the order of the spec: what the guest finds it by.</param>
public sealed record SetupRecord(string Device, int Slot, DeviceDescriptor Descriptor);
