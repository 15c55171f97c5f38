using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// Device memory in stamped 4 KiB blocks, outside the managed heap, with the set of blocks that changed since they
/// were last read into the state stream. Block versions are kept apart from the blocks, so a block that
/// was lost or torn on the way shows when it is loaded and when it is next written.
/// </summary>
internal sealed unsafe class GpuMemory : IDisposable
{
    public const int BlockBytes = PageStamp.PageBytes;

    /// <summary>The longest run of one section: 1 MiB, the largest data transfer of vfio-user.</summary>
    public const int MaxRunBlocks = 256;

    private readonly long _bytes;
    private readonly uint[] _versions;
    private readonly MappedMemory _memory;

    public GpuMemory(ulong sizeMiB)
    {
        _bytes = (long)sizeMiB << 20;
        _versions = new uint[_bytes / BlockBytes];
        Changed = new PageBitmap(_versions.Length);
        // Device memory is there from the start: page faults while a state is loaded would count as downtime.
        using var file = Memfd.Create("gpu-memory", _bytes);
        _memory = MappedMemory.Map(file, 0, _bytes, present: true);
    }

    public int Blocks => _versions.Length;

    public PageBitmap Changed { get; }

    public long ChangedCount { get; private set; }

    /// <summary>Sum of <see cref="PageStamp.Mix"/> over all blocks.</summary>
    public ulong Accumulator { get; private set; }

    /// <summary>Blocks whose loaded bytes do not agree with themselves.</summary>
    public HashSet<int> Torn { get; } = [];

    public byte* Block(int block) => _memory.Pointer + (long)block * BlockBytes;

    /// <summary>Stamps the next version into a block.</summary>
    /// <returns>false: the block was not as it was left.</returns>
    public bool Advance(int block)
    {
        // SAFETY: 0 <= block < Blocks, and the mapping holds Blocks whole blocks.
        byte* memory = Block(block);
        uint version = _versions[block];
        bool intact = PageStamp.Matches(memory, (ulong)block, version);
        PageStamp.Write(memory, (ulong)block, version + 1);
        SetVersion(block, version + 1);
        if (!Changed[block])
        {
            Changed[block] = true;
            ChangedCount++;
        }
        return intact;
    }

    public void MarkAllChanged()
    {
        Changed.SetAll();
        ChangedCount = Blocks;
    }

    /// <summary>Takes the next run of changed blocks. It counts as unchanged from here on: what is written into
    /// it while it is being read comes again.</summary>
    public bool TryTakeRun(long from, out int first, out int count)
    {
        first = count = 0;
        if (ChangedCount == 0) return false;
        if (!Changed.TryNextRun(from, MaxRunBlocks, out long start, out long length)
            && !Changed.TryNextRun(0, MaxRunBlocks, out start, out length)) return false;
        (first, count) = ((int)start, (int)length);
        for (long block = start; block < start + length; block++) Changed[block] = false;
        ChangedCount -= length;
        return true;
    }

    /// <summary>After new bytes were put into a block: takes over the version they carry. A block may come torn, when it
    /// was written while it was read; then it comes again, and until it does it counts as <see cref="Torn"/>.</summary>
    public void Adopt(int block)
    {
        uint? version = PageStamp.Read(Block(block), (ulong)block);
        SetVersion(block, version ?? 0);
        if (version is null) Torn.Add(block);
        else Torn.Remove(block);
    }

    /// <summary>Back to zero.</summary>
    public void Clear()
    {
        // SAFETY: exactly the mapping; the engine is stopped while a device is cleared.
        NativeMemory.Clear(_memory.Pointer, (nuint)_bytes);
        Array.Clear(_versions);
        Changed.Clear();
        Torn.Clear();
        ChangedCount = 0;
        Accumulator = 0;
    }

    public void Dispose() => _memory.Dispose();

    private void SetVersion(int block, uint version)
    {
        Accumulator += PageStamp.Mix((ulong)block, version) - PageStamp.Mix((ulong)block, _versions[block]);
        _versions[block] = version;
    }
}
