using System.Runtime.InteropServices;
using System.Text;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Guest.Vcpus;

namespace MigrationCluster.Guest.Machine;

/// <summary>
/// The machine's state stream: the vCPUs' registers, their drivers' expectations, and what the devices' own streams
/// leave out: config space and interrupt set-up.
///
/// <code>
///   1 vcpus     VcpuRegisters a vCPU
///   2 drivers   32 bytes device name, DriverRegisters; a device
///   3 devices   32 bytes device name, u64 interrupt vectors bound, 256 bytes config space; a device
/// </code>
/// </summary>
internal sealed class MachineState(GuestMachine machine, IReadOnlyList<DeviceRelay> relays) : IStateSections
{
    public const string Model = "machine";
    public const string StreamFormat = "machine/1";
    private const int FormatVersion = 1;
    private const ushort VcpuSection = 1;
    private const ushort DriverSection = 2;
    private const ushort DeviceSection = 3;
    private const int NameBytes = 32;
    private static readonly int VcpuBytes = Marshal.SizeOf<VcpuRegisters>();
    private static readonly int DriverBytes = NameBytes + Marshal.SizeOf<DriverRegisters>();
    private const int DeviceBytes = NameBytes + 8 + (int)DeviceRegisters.ConfigSpaceBytes;

    private VcpuRegisters[]? _vcpus;
    private Dictionary<string, DriverRegisters>? _drivers;
    private Dictionary<string, byte[]>? _configs;

    /// <summary>The whole stream; of a paused machine with stopped devices.</summary>
    public byte[] Save()
    {
        var writer = new StateStreamWriter(Model, FormatVersion);
        using var stream = new MemoryStream();
        byte[] buffer = new byte[64 << 10];
        void Drain()
        {
            while (!writer.IsDrained) stream.Write(buffer, 0, writer.Read(buffer));
        }

        Drain();
        writer.Add(VcpuSection, 1, required: true, MemoryMarshal.AsBytes<VcpuRegisters>(machine.Vcpus.Select(vcpu => vcpu.Registers).ToArray()));
        Drain();
        byte[] drivers = new byte[machine.Drivers.Count * DriverBytes];
        for (int i = 0; i < machine.Drivers.Count; i++)
        {
            var driver = machine.Drivers[i];
            var entry = drivers.AsSpan(i * DriverBytes, DriverBytes);
            Encoding.ASCII.GetBytes(driver.DeviceName, entry);
            MemoryMarshal.Write(entry[NameBytes..], driver.Registers);
        }
        writer.Add(DriverSection, 1, required: true, drivers);
        Drain();
        byte[] devices = new byte[relays.Count * DeviceBytes];
        for (int i = 0; i < relays.Count; i++)
        {
            var entry = devices.AsSpan(i * DeviceBytes, DeviceBytes);
            Encoding.ASCII.GetBytes(relays[i].Name, entry);
            BitConverter.TryWriteBytes(entry[NameBytes..], (ulong)Vectors(relays[i]));
            relays[i].Config.CopyTo(entry[(NameBytes + 8)..]);
        }
        writer.Add(DeviceSection, 1, required: true, devices);
        Drain();
        writer.End();
        Drain();
        return stream.ToArray();
    }

    /// <exception cref="StateFormatException">malformed, or of another machine.</exception>
    public void Load(ReadOnlySpan<byte> stream)
    {
        var reader = new StateStreamReader(Model, FormatVersion, this);
        reader.Take(stream);
        if (!reader.IsComplete) throw new StateFormatException($"the machine's state ends after {stream.Length} bytes without its end section");
    }

    public SectionUse Begin(SectionHeader header) => (header.Id, header.Version) switch
    {
        (VcpuSection, 1) => Sized(header, machine.Vcpus.Count * VcpuBytes, "vCPUs"),
        (DriverSection, 1) => Sized(header, machine.Drivers.Count * DriverBytes, "drivers"),
        (DeviceSection, 1) => Sized(header, relays.Count * DeviceBytes, "devices"),
        _ => SectionUse.Unknown,
    };

    private static SectionUse Sized(SectionHeader header, int bytes, string what) => header.LengthBytes == bytes
        ? SectionUse.Whole
        : throw new StateFormatException($"the machine's {what} have {header.LengthBytes} bytes instead of {bytes}");

    public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data)
    {
        switch (header.Id)
        {
            case VcpuSection:
                _vcpus = MemoryMarshal.Cast<byte, VcpuRegisters>(data).ToArray();
                break;
            case DriverSection:
                _drivers = [];
                for (; data.Length > 0; data = data[DriverBytes..])
                    _drivers[NameOf(data)] = MemoryMarshal.Read<DriverRegisters>(data[NameBytes..]);
                break;
            default:
                _configs = [];
                for (; data.Length > 0; data = data[DeviceBytes..]) TakeDevice(data[..DeviceBytes]);
                break;
        }
    }

    public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece) =>
        throw new InvalidOperationException("the machine streams no section");

    public void Finish()
    {
        if (_vcpus is null || _drivers is null || _configs is null)
            throw new StateFormatException("the machine's state lacks its vCPUs, drivers or devices");
        foreach (var driver in machine.Drivers)
            if (!_drivers.ContainsKey(driver.DeviceName)) throw new StateFormatException($"the machine's state lacks the driver of {driver.DeviceName}");
        foreach (var relay in relays)
            if (!_configs.ContainsKey(relay.Name)) throw new StateFormatException($"the machine's state lacks the config space of {relay.Name}");

        for (int i = 0; i < _vcpus.Length; i++) machine.Vcpus[i].Registers = _vcpus[i];
        foreach (var driver in machine.Drivers) driver.Registers = _drivers[driver.DeviceName];
        foreach (var relay in relays) relay.RestoreConfigLater(_configs[relay.Name]);
    }

    private void TakeDevice(ReadOnlySpan<byte> entry)
    {
        string name = NameOf(entry);
        ulong vectors = BitConverter.ToUInt64(entry[NameBytes..]);
        var relay = relays.FirstOrDefault(relay => relay.Name == name)
            ?? throw new StateFormatException($"the machine's state has a device '{name}' that is not here");
        if (vectors != (ulong)Vectors(relay))
            throw new StateFormatException($"the machine's state binds {vectors} interrupts of {name}, here it has {Vectors(relay)}");
        _configs![name] = entry[(NameBytes + 8)..].ToArray();
    }

    private static int Vectors(DeviceRelay relay) => relay.Shape.Interrupts.Sum(interrupt => interrupt.Count);

    private static string NameOf(ReadOnlySpan<byte> entry) => Encoding.ASCII.GetString(entry[..NameBytes]).TrimEnd('\0');
}
