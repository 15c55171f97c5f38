using System.Runtime.InteropServices;
using MigrationCluster.Devices.VfioKernel;

namespace MigrationCluster.IommufdLane;

/// <summary>A device behind the IOMMU that iommufd brings for its own tests (CONFIG_IOMMUFD_TEST).</summary>
/// <param name="Selftest">its name among the mock's objects.</param>
/// <param name="Id">its name among iommufd's devices, as BIND_IOMMUFD would have answered.</param>
internal readonly record struct MockDevice(uint Selftest, uint Id);

/// <summary>
/// The mock's own uAPI, which writes pages as a device would: drivers/iommu/iommufd/iommufd_test.h of Linux 6.12. It is for tests of the
/// kernel and may change with any version; the product knows nothing of it.
/// </summary>
/// <remarks>SAFETY: the argument is on the stack, and says its size; the kernel keeps no pointer of it.</remarks>
internal sealed unsafe class MockIommu(IKernelCalls calls, int iommufd)
{
    /// <summary>Where its windows may lie: MOCK_APERTURE_START and _LAST.</summary>
    public const ulong FirstIova = 1UL << 24, LastIova = (1UL << 31) - 1;

    /// <summary>Its pages (MOCK_IO_PAGE_SIZE): two make one of the guest's.</summary>
    public const int UnitBytes = 2048;

    private const nuint IOMMU_TEST_CMD = 0x3BA0;
    private const uint ReplaceTable = 10, AddDevice = 12, WritePages = 13; // IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, _FLAGS, _DIRTY

    /// <param name="table">an IOAS or a hardware page table, to which it is attached at once.</param>
    public MockDevice Add(uint table, bool logs = true)
    {
        var command = new Command { Op = AddDevice, Id = table, Fourth = logs ? 0u : 1 }; // MOCK_FLAGS_DEVICE_NO_DIRTY
        Call(ref command, "a mock device cannot be made: is this a kernel with CONFIG_IOMMUFD_TEST?");
        return new MockDevice(command.First, command.Third);
    }

    public void Attach(MockDevice device, uint table)
    {
        var command = new Command { Op = ReplaceTable, Id = device.Selftest, First = table };
        Call(ref command, "the mock device cannot be attached to its new table");
    }

    /// <summary>Writes to guest pages of a window: to the first half of an even one, to the second of an odd one.</summary>
    /// <returns>how many the mock found mapped; a negative errno: its table does not log.</returns>
    public long Write(uint table, ulong iova, int pages, IEnumerable<int> written)
    {
        byte[] units = new byte[(pages * 2 + 63) / 64 * 8];
        foreach (int page in written)
        {
            int unit = page * 2 + page % 2;
            units[unit / 8] |= (byte)(1 << (unit % 8));
        }
        fixed (byte* bits = units)
        {
            var command = new Command
            {
                Op = WritePages,
                Id = table,
                Iova = iova,
                Length = (ulong)pages * 2 * UnitBytes,
                PageSize = UnitBytes,
                Bits = (ulong)bits,
            };
            int result = Call(ref command);
            return result < 0 ? result : (long)command.Written;
        }
    }

    private int Call(ref Command command)
    {
        command.Size = (uint)sizeof(Command);
        fixed (Command* argument = &command) return calls.Ioctl(iommufd, IOMMU_TEST_CMD, argument);
    }

    private void Call(ref Command command, string otherwise)
    {
        int result = Call(ref command);
        if (result < 0) throw new CheckFailedException($"{otherwise} (errno {-result})");
    }

    /// <summary>struct iommu_test_cmd: its head, and of its union what is used here.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    private struct Command
    {
        [FieldOffset(0)] public uint Size;
        [FieldOffset(4)] public uint Op;
        [FieldOffset(8)] public uint Id;

        // mock_domain_flags: out_stdev_id, out_hwpt_id, out_idev_id, dev_flags; mock_domain_replace: pt_id
        [FieldOffset(16)] public uint First;
        [FieldOffset(24)] public uint Third;
        [FieldOffset(28)] public uint Fourth;

        // dirty
        [FieldOffset(24)] public ulong Iova;
        [FieldOffset(32)] public ulong Length;
        [FieldOffset(40)] public ulong PageSize;
        [FieldOffset(48)] public ulong Bits;
        [FieldOffset(56)] public ulong Written;
    }
}
