using System.Text;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Json;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Protocol.Tests.VfioUser;

public sealed class WireCodecTests
{
    private delegate bool Reader<T>(ReadOnlySpan<byte> source, out T message);

    private delegate void Writer(Span<byte> destination);

    [Fact]
    public void A_header_is_the_standards_bytes()
    {
        byte[] bytes = new byte[16];
        new VfioUserHeader(0x1234, (ushort)VfioUserCommand.DmaWrite, 40, VfioUserHeader.NoReplyFlag, 0).Write(bytes);
        Assert.Equal(Convert.FromHexString("34120C00280000001000000000000000"), bytes);
        var command = VfioUserHeader.ForCommand(7, 9, 16);
        command.ErrorReply(22, 3).Write(bytes);
        Assert.Equal(Convert.FromHexString("07000900130000002100000016000000"), bytes);
        Assert.True(VfioUserHeader.TryRead(bytes, out var error));
        Assert.Equal((true, true, false, 3, 22u), (error.IsReply, error.IsError, error.IsCommand, error.BodyBytes, error.Errno));
    }

    [Theory]
    [InlineData("010001000F0000000000000000000000")] // a size below the header's own
    [InlineData("01000100000000800000000000000000")] // 2 GiB
    [InlineData("01000100100000000200000000000000")] // neither command nor reply
    [InlineData("010001001000000000000000000000")] // too short
    public void A_header_that_no_message_has_is_refused(string hex) =>
        Assert.False(VfioUserHeader.TryRead(Convert.FromHexString(hex), out _));

    [Fact]
    public void Every_fixed_message_survives_the_wire_and_nothing_shorter_does()
    {
        const ulong big = 0x1122334455667788;
        Survives(DmaMapRequest.Size, new DmaMapRequest(3, big, 0x1000, big), DmaMapRequest.TryRead, m => m.Write);
        Survives(DmaUnmapRequest.Size, new DmaUnmapRequest(2, big, big), DmaUnmapRequest.TryRead, m => m.Write);
        Survives(DmaAccess.Size, new DmaAccess(big, 99), DmaAccess.TryRead, m => m.Write);
        Survives(DeviceGetInfo.Size, new DeviceGetInfo(16, 3, 9, 5), DeviceGetInfo.TryRead, m => m.Write);
        Survives(GetRegionInfo.Size, new GetRegionInfo(64, 15, 7, 32, big, 4096), GetRegionInfo.TryRead, m => m.Write);
        Survives(GetIrqInfo.Size, new GetIrqInfo(16, 1, 2, 33), GetIrqInfo.TryRead, m => m.Write);
        Survives(SetIrqsRequest.Size, new SetIrqsRequest(0x24, 2, 3, 4), SetIrqsRequest.TryRead, m => m.Write);
        Survives(RegionAccess.Size, new RegionAccess(big, 7, 256), RegionAccess.TryRead, m => m.Write);
        Survives(FeatureHeader.Size, new FeatureHeader(32, 1 << 16 | 8), FeatureHeader.TryRead, m => m.Write);
        Survives(DeviceStateFeature.Size, new DeviceStateFeature(DeviceState.PreCopyP2P), DeviceStateFeature.TryRead, m => m.Write);
        Survives(DirtyLogReport.Size, new DirtyLogReport(big, 4096, 4096), DirtyLogReport.TryRead, m => m.Write);
        Survives(MigrationData.Size, new MigrationData(1 << 20), MigrationData.TryRead, m => m.Write);
        Survives(DirtyPagesHead.Size, new DirtyPagesHead(big, 77), DirtyPagesHead.TryRead, m => m.Write);
        Survives(ExtensionNumber.Size, new ExtensionNumber(big), ExtensionNumber.TryRead, m => m.Write);
        Survives(StreamRange.Size, new StreamRange(big, 1 << 20, 1 << 21), StreamRange.TryRead, m => m.Write);
        Survives(StreamDigestMessage.Size, new StreamDigestMessage(big, 0xdeadbeef), StreamDigestMessage.TryRead, m => m.Write);
        Survives(OptionalNumbers.Size, new OptionalNumbers(true, big, 1), OptionalNumbers.TryRead, m => m.Write);
    }

    [Theory]
    [InlineData(0, 0x1000, 0)] // nothing
    [InlineData(16, 0x1000, 0x1000)] // an unknown flag
    [InlineData(3, ulong.MaxValue - 0xfff, 0x2000)] // past the end of the address space
    public void A_DMA_window_that_cannot_be_is_refused(uint flags, ulong iova, ulong size)
    {
        byte[] bytes = new byte[DmaMapRequest.Size];
        new DmaMapRequest(flags, 0, iova, size).Write(bytes);
        Assert.False(DmaMapRequest.TryRead(bytes, out _));
    }

    [Fact]
    public void A_dirty_log_that_claims_more_ranges_than_it_brings_is_refused()
    {
        byte[] bytes = new byte[DirtyLogStart.Size + DirtyLogStart.RangeSize];
        new DirtyLogStart(4096, 1).Write(bytes);
        Assert.True(DirtyLogStart.TryRead(bytes, out _));
        new DirtyLogStart(4096, 2).Write(bytes);
        Assert.False(DirtyLogStart.TryRead(bytes, out _));
    }

    [Theory]
    [InlineData(4096, 4096, 8)]
    [InlineData(64 * 4096, 4096, 8)]
    [InlineData(64 * 4096 + 1, 4096, 16)]
    [InlineData(4096, 0, 0)]
    [InlineData(0, 4096, 0)]
    public void A_bitmap_is_whole_words(ulong length, ulong pageSize, long bytes) =>
        Assert.Equal(bytes, new DirtyLogReport(0, length, pageSize).BitmapBytes);

    [Fact]
    public void Sparse_areas_are_found_behind_other_capabilities()
    {
        SparseArea[] areas = [new(0, 4096), new(8192, 4096)];
        byte[] body = new byte[GetRegionInfo.Size + 16 + SparseMmapCapability.SizeOf(2)];
        body[32] = 5; // a capability of another kind
        body[36] = 48; // the next one
        SparseMmapCapability.Write(body.AsSpan(48), areas);
        Assert.True(SparseMmapCapability.TryFind(body, 32, out var found));
        Assert.Equal(areas, found);
        Assert.True(SparseMmapCapability.TryFind(body, 0, out found));
        Assert.Empty(found);
    }

    [Theory]
    [InlineData(16, 0, 1)] // inside the fixed part
    [InlineData(4000, 0, 1)] // outside
    [InlineData(32, 32, 1)] // onto itself
    [InlineData(32, 0, 1000)] // more areas than bytes
    public void A_broken_capability_chain_is_refused(uint first, byte next, int areas)
    {
        byte[] body = new byte[GetRegionInfo.Size + SparseMmapCapability.SizeOf(1)];
        SparseMmapCapability.Write(body.AsSpan(32), [new SparseArea(0, 4096)]);
        if (next != 0) (body[32], body[36]) = (5, next);
        BitConverter.TryWriteBytes(body.AsSpan(40), areas);
        Assert.False(SparseMmapCapability.TryFind(body, first, out _));
    }

    [Fact]
    public void Version_capabilities_survive_the_wire()
    {
        var said = new VersionCapabilities(16, 4097, true, 0, 4096, new ExtensionOffer(1, ServedKind.Machine));
        Assert.True(VersionMessage.TryRead(VersionMessage.Write(1, said), out ushort minor, out var heard, out _));
        Assert.Equal((1, said), (minor, heard));
    }

    [Fact]
    public void What_a_version_leaves_out_is_the_standards_default()
    {
        foreach (byte[] body in new byte[][] { [0, 0, 2, 0], Json("{}"), Json("""{"capabilities":{"other":[1]}}""") })
        {
            Assert.True(VersionMessage.TryRead(body, out _, out var heard, out _));
            Assert.Equal(new VersionCapabilities(1, 1 << 20), heard);
        }
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("""{"capabilities":[]}""")]
    [InlineData("""{"capabilities":{"max_msg_fds":-1}}""")]
    [InlineData("""{"capabilities":{"max_data_xfer_size":1e30}}""")]
    [InlineData("""{"capabilities":{"twin_socket":{"supported":"yes"}}}""")]
    [InlineData("""{"capabilities":{"migrationcluster":{"version":"1"}}}""")]
    public void A_version_with_a_wrong_type_is_refused_with_a_reason(string json)
    {
        Assert.False(VersionMessage.TryRead(Json(json), out _, out _, out string? reason));
        Assert.NotEmpty(reason!);
    }

    [Fact]
    public void Another_major_version_and_a_missing_end_are_refused()
    {
        Assert.False(VersionMessage.TryRead([1, 0, 0, 0], out _, out _, out _));
        Assert.False(VersionMessage.TryRead(Json("{}").AsSpan()[..^1], out _, out _, out _));
        Assert.False(VersionMessage.TryRead([0, 0, 0], out _, out _, out _));
    }

    [Fact]
    public void Extension_messages_of_varying_length_survive_the_wire()
    {
        var fence = new Fence(new Epoch(ulong.MaxValue), new Term(3));
        var bind = new BindRequest(GuestName.Parse("guest-1"), fence);
        Assert.True(BindRequest.TryRead(bind.ToArray(), out var bound));
        Assert.Equal(bind, bound);

        foreach (string? digest in new[] { null, "", "sha-é" })
        {
            var vote = new CastVoteRequest(Vote.Verified, digest);
            Assert.True(CastVoteRequest.TryRead(vote.ToArray(), out var cast));
            Assert.Equal(vote, cast);
            var record = new FenceRecord(GuestName.Parse("g"), fence, GuestRole.Owner, digest, true, false, true);
            Assert.True(FenceRecordMessage.TryRead(FenceRecordMessage.ToArray(record), out var read));
            Assert.Equal(record, read);
        }

        var layout = new GuestMemoryLayout([new MemoryWindow(new Gpa(0), 8192), new MemoryWindow(new Gpa(1ul << 32), 4096)]);
        Assert.True(MemoryLayoutMessage.TryRead(MemoryLayoutMessage.ToArray(layout), out var again));
        Assert.Equal(layout.Windows, again.Windows);
    }

    [Fact]
    public void Malformed_extension_messages_are_refused()
    {
        Assert.False(BindRequest.TryRead([.. new byte[16], .. "No Name"u8], out _));
        Assert.False(CastVoteRequest.TryRead([9, 0, 0, 0, 0, 0, 0, 0], out _));
        byte[] layout = MemoryLayoutMessage.ToArray(new GuestMemoryLayout([new MemoryWindow(new Gpa(0), 8192)]));
        layout[4] = 2; // claims a window more
        Assert.False(MemoryLayoutMessage.TryRead(layout, out _));
        byte[] record = FenceRecordMessage.ToArray(
            new FenceRecord(GuestName.Parse("g"), default, GuestRole.Owner));
        record[24] = 200; // claims a longer name
        Assert.False(FenceRecordMessage.TryRead(record, out _));
    }

    [Fact]
    public void A_setup_record_without_a_required_field_is_refused()
    {
        var record = new SetupRecord("net0", 0, DeviceDescriptor.Empty(DescriptorKind.Device) with { Model = "net" });
        Assert.Equivalent(record, SetupJson.ReadRecord(SetupJson.Write(record)), strict: true);
        string json = Encoding.UTF8.GetString(SetupJson.Write(record));
        byte[] broken = Encoding.UTF8.GetBytes(json.Replace("\"slot\":0,", "", StringComparison.Ordinal));
        Assert.Throws<System.Text.Json.JsonException>(() => SetupJson.ReadRecord(broken));
        Assert.Throws<System.Text.Json.JsonException>(() => SetupJson.ReadRecord("null"u8));
    }

    [Theory]
    [InlineData("\"slot\":0", "\"slot\":0,\"slot\":1")]
    [InlineData("\"slot\":0", "\"slot\":99999999999999999999")]
    [InlineData("\"parameters\":[]", "\"parameters\":null")]
    [InlineData("\"configCapabilities\":[]", "\"configCapabilities\":[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]")]
    public void A_hostile_setup_record_is_refused(string part, string instead)
    {
        var record = new SetupRecord("net0", 0, DeviceDescriptor.Empty(DescriptorKind.Device) with { Model = "net" });
        string json = Encoding.UTF8.GetString(SetupJson.Write(record));
        Assert.Contains(part, json, StringComparison.Ordinal);
        byte[] hostile = Encoding.UTF8.GetBytes(json.Replace(part, instead, StringComparison.Ordinal));
        Assert.Throws<System.Text.Json.JsonException>(() => SetupJson.ReadRecord(hostile));
    }

    [Fact]
    public void A_setup_record_in_broken_UTF_8_is_refused()
    {
        byte[] json = SetupJson.Write(new SetupRecord("net0", 0, DeviceDescriptor.Empty(DescriptorKind.Device) with { Model = "net" }));
        json[json.AsSpan().IndexOf("net0"u8)] = 0xC0;
        Assert.Throws<System.Text.Json.JsonException>(() => SetupJson.ReadRecord(json));
    }

    [Fact]
    public void A_descriptor_beyond_a_limit_is_refused_by_name()
    {
        var many = Enumerable.Range(0, DescriptorLimits.Sections + 1).Select(i => $"s{i}").ToList();
        byte[] tooMany = SetupJson.Write(DeviceDescriptor.Empty(DescriptorKind.Device) with { SectionsRead = many });
        Assert.Contains("$.sectionsRead[256]", Assert.Throws<System.Text.Json.JsonException>(
            () => SetupJson.ReadDescriptor(tooMany)).Message, StringComparison.Ordinal);
        byte[] huge = new byte[10 << 20];
        Assert.Contains("json.too-long", Assert.Throws<System.Text.Json.JsonException>(
            () => SetupJson.ReadDescriptor(huge)).Message, StringComparison.Ordinal);
    }

    private static byte[] Json(string json) => [0, 0, 0, 0, .. Encoding.UTF8.GetBytes(json), 0];

    private static void Survives<T>(int size, T message, Reader<T> read, Func<T, Writer> write)
    {
        byte[] bytes = new byte[size];
        write(message)(bytes);
        Assert.True(read(bytes, out var again), $"{message}");
        Assert.Equal(message, again);
        Assert.False(read(bytes.AsSpan(0, size - 1), out _), $"{typeof(T).Name} read from {size - 1} bytes");
    }
}
