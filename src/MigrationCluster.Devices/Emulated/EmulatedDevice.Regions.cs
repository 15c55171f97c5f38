using System.Buffers.Binary;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Emulated;

/// <summary>Regions: BAR0 as 64-bit registers, and config space.</summary>
public abstract partial class EmulatedDevice
{
    private readonly byte[] _config;

    public ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        lock (Sync)
        {
            Require(DeviceAction.RegisterAccess, "reading a region");
            CheckRange(region, offset, destination.Length);
            if (region == DeviceRegisters.ConfigSpace)
                _config.AsSpan((int)offset, destination.Length).CopyTo(destination.Span);
            else
                ReadBar(offset, destination.Span);
        }
        return ValueTask.CompletedTask;
    }

    public async ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        // Disabling is answered after what it disables has ended, P2P included.
        bool quietsPeer = region == DeviceRegisters.ConfigSpace || offset / 8 * 8 == DeviceRegisters.Control;
        if (quietsPeer) await PeerGate.WaitAsync(cancellationToken);
        try
        {
            lock (Sync)
            {
                if (region == DeviceRegisters.Bar) CheckPeerWrite(offset);
                Require(DeviceAction.RegisterAccess, "writing a region");
                CheckRange(region, offset, source.Length);
                if (region == DeviceRegisters.ConfigSpace)
                    WriteConfig((int)offset, source.Span);
                else
                    WriteBar(offset, source.Span);
            }
        }
        finally
        {
            if (quietsPeer) PeerGate.Release();
        }
        if (quietsPeer) OnActivityChanged();
    }

    private void WriteConfig(int offset, ReadOnlySpan<byte> source)
    {
        for (int i = 0; i < source.Length; i++)
            if (DeviceConfigSpace.IsWritable(offset + i)) _config[offset + i] = source[i];
    }

    private void ReadBar(ulong offset, Span<byte> destination)
    {
        Span<byte> register = stackalloc byte[8];
        while (!destination.IsEmpty)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(register, ReadRegister(offset & ~7UL));
            int within = (int)(offset & 7);
            int count = Math.Min(8 - within, destination.Length);
            register.Slice(within, count).CopyTo(destination);
            destination = destination[count..];
            offset += (ulong)count;
        }
    }

    private void WriteBar(ulong offset, ReadOnlySpan<byte> source)
    {
        Span<byte> register = stackalloc byte[8];
        while (!source.IsEmpty)
        {
            int within = (int)(offset & 7);
            int count = Math.Min(8 - within, source.Length);
            if (count == 8) register.Clear();
            else BinaryPrimitives.WriteUInt64LittleEndian(register, ReadRegister(offset & ~7UL));
            source[..count].CopyTo(register[within..]);
            WriteRegister(offset & ~7UL, BinaryPrimitives.ReadUInt64LittleEndian(register));
            source = source[count..];
            offset += (ulong)count;
        }
    }

    private ulong ReadRegister(ulong offset) => offset switch
    {
        DeviceRegisters.Identity => 0x5644434DUL | (ulong)ModelNumber << 32,
        DeviceRegisters.Checksum => Checksum(),
        DeviceRegisters.Scratch => Scratch,
        DeviceRegisters.Interrupts => InterruptsRaised,
        DeviceRegisters.Errors => Errors,
        DeviceRegisters.Control => Control,
        DeviceRegisters.Status => Status,
        _ => ReadModelRegister(offset),
    };

    private void WriteRegister(ulong offset, ulong value)
    {
        if (offset == DeviceRegisters.Scratch) Scratch = value;
        else if (offset == DeviceRegisters.Control) Control = value;
        else if (offset >= DeviceRegisters.Model) WriteModelRegister(offset, value);
    }

    private void CheckRange(int region, ulong offset, int length)
    {
        ulong size = region switch
        {
            DeviceRegisters.Bar => _model.BarBytes,
            DeviceRegisters.ConfigSpace => DeviceRegisters.ConfigSpaceBytes,
            _ => throw new DeviceRefusedException($"{Model} has no region {region}", Errno.EINVAL),
        };
        if (offset > size || (ulong)length > size - offset)
            throw new DeviceRefusedException($"region {region} of {Model} has {size} bytes, none at {offset}+{length}", Errno.EINVAL);
    }
}
