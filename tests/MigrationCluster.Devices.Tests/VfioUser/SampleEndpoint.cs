using MigrationCluster.Devices.Tests.Contract;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

/// <summary>A machine endpoint that remembers what it was told: what the extension carries, both ways.</summary>
internal sealed class SampleEndpoint() : SampleDevice(ServerBench.All), IMachineEndpoint
{
    public static readonly SetupRecord Setup = new("gpu0", 3, DeviceDescriptor.Empty(DescriptorKind.Device) with
    {
        Model = "gpu",
        Regions = [new RegionDescriptor(0, 4096, true, true, false), new RegionDescriptor(7, 256, true, true, false)],
        Parameters = [new ParameterDescriptor("memory", ParameterType.Text, ParameterComparator.Equal, "16 MiB", "")],
        VersionString = "vendor-é-1",
        StreamFormatsWritten = ["gpu/1"],
        StreamFormatsRead = ["gpu/1", "gpu/2"],
        Capabilities = ServerBench.All,
    });

    public FenceRecord Record { get; private set; } =
        new(GuestName.Parse("g1"), new Fence(new Epoch(3), new Term(1)), GuestRole.Incoming);

    public HashSet<long> Dirty { get; } = [];

    public ulong Acked { get; private set; }

    public byte[] Stream { get; } = [.. Enumerable.Range(0, 3_000_001).Select(i => (byte)(i * 31 >> 3))];

    public MemoryStream Loaded { get; } = new();

    public TimeSpan? Deadline { get; private set; }

    public DeviceName? Isolated { get; private set; }

    public bool IsShutDown { get; private set; }

    public ValueTask BindAsync(GuestName guest, Fence fence, CancellationToken cancellationToken)
    {
        if (guest != Record.Guest) throw new DeviceRefusedException($"{Record.Guest} lives here, not {guest}", Errno.EPERM);
        Record = Record.TryRaise(fence)
            ?? throw new DeviceRefusedException($"{fence} is older than {Record.Fence}", Errno.EPERM);
        return ValueTask.CompletedTask;
    }

    public ValueTask<SetupRecord> GetSetupRecordAsync(CancellationToken cancellationToken) => new(Setup);

    public ValueTask<Verdict> CheckSetupAsync(SetupRecord source, CancellationToken cancellationToken) =>
        new(source.Descriptor.Model == "gpu"
            ? new Compatible(new CompatibilityRank(1, 2, 3), ["statistics"])
            : new Incompatible([new CompatibilityReason(
                "device.model", source.Descriptor.Model!, "gpu", CompatibilitySide.Destination, "choose another host")]));

    public ValueTask<ulong> ReadDirtyAsync(PageBitmap pages, CancellationToken cancellationToken)
    {
        foreach (long page in Dirty) pages[page] = true;
        return new(Acked + 1);
    }

    public ValueTask AckDirtyAsync(ulong sequence, CancellationToken cancellationToken)
    {
        if (sequence != Acked + 1) throw new DeviceRefusedException($"report {sequence} is not the last one", Errno.EINVAL);
        Acked = sequence;
        Dirty.Clear();
        return ValueTask.CompletedTask;
    }

    /// <summary>Reads of the stream wait for it.</summary>
    public Task ReadsGoOn { get; set; } = Task.CompletedTask;

    public async ValueTask<int> ReadStreamAsync(ulong offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await ReadsGoOn;
        int count = Math.Min(buffer.Length, Stream.Length - (int)offset);
        Stream.AsSpan((int)offset, count).CopyTo(buffer.Span);
        return count;
    }

    public ValueTask AckStreamAsync(ulong offset, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask WriteStreamAsync(ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        if (offset != (ulong)Loaded.Length) throw new DeviceRefusedException($"a gap before {offset}", Errno.EINVAL);
        Loaded.Write(data.Span);
        return ValueTask.CompletedTask;
    }

    public ValueTask<StreamDigest> GetStreamDigestAsync(CancellationToken cancellationToken) =>
        new(new StreamDigest((ulong)Loaded.Length, 0xdeadbeef));

    public ValueTask<ulong?> GetContentDigestAsync(CancellationToken cancellationToken) =>
        new(Loaded.Length == 0 ? null : 0xfeedul);

    public ValueTask<GuestMemoryLayout> GetMemoryLayoutAsync(CancellationToken cancellationToken) =>
        new(new GuestMemoryLayout([new MemoryWindow(new Gpa(0), MemoryBytes), new MemoryWindow(new Gpa(1ul << 32), 8192)]));

    public ValueTask<FenceRecord> ReadFenceAsync(CancellationToken cancellationToken) => new(Record);

    public ValueTask<FenceRecord> CastVoteAsync(Vote vote, string? digest, CancellationToken cancellationToken)
    {
        var (record, refusal) = Record.TryCast(vote, digest);
        Record = record ?? throw new DeviceRefusedException(refusal!, Errno.EPERM);
        return new(Record);
    }

    public ValueTask SetPauseDeadlineAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        Deadline = deadline;
        return ValueTask.CompletedTask;
    }

    public (int Percent, TimeSpan Lease) Throttle { get; private set; }

    public ValueTask ThrottleVcpusAsync(int percent, TimeSpan lease, CancellationToken cancellationToken)
    {
        Throttle = (percent, lease);
        return ValueTask.CompletedTask;
    }

    public ValueTask IsolateDeviceAsync(DeviceName device, CancellationToken cancellationToken)
    {
        Isolated = device;
        return ValueTask.CompletedTask;
    }

    public ValueTask ShutDownAsync(CancellationToken cancellationToken)
    {
        IsShutDown = true;
        return ValueTask.CompletedTask;
    }
}
