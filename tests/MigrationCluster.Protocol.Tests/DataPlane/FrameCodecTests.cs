using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Protocol.Tests.DataPlane;

public sealed class FrameCodecTests
{
    private static readonly SessionShape Shape = new(PageCount: 1000, DeviceCount: 4);

    public static TheoryData<FrameHeader, FrameRoute, int> Good => new()
    {
        { new FrameHeader(FrameKind.Pages, 0, 1, 0, 1), FrameRoute.PageChannel, 4100 },
        { new FrameHeader(FrameKind.Pages, 0, 2, 936, 64), FrameRoute.PageChannel, 64 * 4100 },
        { new FrameHeader(FrameKind.ZeroRun, 0, 3, 0, 1000), FrameRoute.PageChannel, 0 },
        { new FrameHeader(FrameKind.DeviceChunk, 3, 4, 1UL << 40, 262144), FrameRoute.DeviceChannel, 262148 },
        { new FrameHeader(FrameKind.InitialBytesEnd, 0, 5, 77, 0), FrameRoute.DeviceChannel, 0 },
        { new FrameHeader(FrameKind.DeviceEnd, 0, 6, 77, uint.MaxValue), FrameRoute.DeviceChannel, 0 },
        { new FrameHeader(FrameKind.Manifest, 0, 7, 0, 36), FrameRoute.DeviceChannel, 40 },
        { new FrameHeader(FrameKind.Ack, 0, 8, 1, 64), FrameRoute.Back, 0 },
        { new FrameHeader(FrameKind.Verdict, 0, 9, 0, 32), FrameRoute.Back, 36 },
        { new FrameHeader(FrameKind.Abort, 0, ulong.MaxValue, 4, 512), FrameRoute.Back, 516 },
    };

    public static TheoryData<FrameHeader, FrameRoute> Bad => new()
    {
        { new FrameHeader(FrameKind.Pages, 0, 1, 0, 0), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.Pages, 0, 1, 0, DataPlaneWire.MaxPagesPerFrame + 1), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.Pages, 0, 1, 937, 64), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.Pages, 0, 1, ulong.MaxValue, 2), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.Pages, 1, 1, 0, 1), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.Pages, 0, 1, 0, 1), FrameRoute.DeviceChannel },
        { new FrameHeader(FrameKind.Pages, 0, 1, 0, 1), FrameRoute.Back },
        { new FrameHeader(FrameKind.ZeroRun, 0, 1, 0, 1001), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.ZeroRun, 0, 1, 1, ulong.MaxValue), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.ZeroRun, 0, 1, 0, 0), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.DeviceChunk, 4, 1, 0, 1), FrameRoute.DeviceChannel },
        { new FrameHeader(FrameKind.DeviceChunk, 0, 1, 0, 0), FrameRoute.DeviceChannel },
        { new FrameHeader(FrameKind.DeviceChunk, 0, 1, 0, 262145), FrameRoute.DeviceChannel },
        { new FrameHeader(FrameKind.DeviceChunk, 0, 1, ulong.MaxValue, 2), FrameRoute.DeviceChannel },
        { new FrameHeader(FrameKind.DeviceChunk, 0, 1, 0, 1), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.DeviceEnd, 0, 1, 0, 1UL << 32), FrameRoute.DeviceChannel },
        { new FrameHeader(FrameKind.Manifest, 0, 1, 0, 1 << 20), FrameRoute.DeviceChannel },
        { new FrameHeader(FrameKind.Ack, 0, 1, 0, 1), FrameRoute.Back },
        { new FrameHeader(FrameKind.Ack, 0, 1, ulong.MaxValue, 2), FrameRoute.Back },
        { new FrameHeader(FrameKind.Ack, 0, 1, 1, 1), FrameRoute.PageChannel },
        { new FrameHeader(FrameKind.Verdict, 0, 1, 0, 33), FrameRoute.Back },
        { new FrameHeader(FrameKind.Abort, 0, 1, 4, 513), FrameRoute.Back },
        { new FrameHeader((FrameKind)99, 0, 1, 0, 0), FrameRoute.Back },
    };

    [Theory, MemberData(nameof(Good))]
    public void A_header_comes_back_as_it_was_written(FrameHeader header, FrameRoute route, int payloadBytes)
    {
        var bytes = new byte[FrameHeader.SizeBytes];
        header.Write(bytes);

        Assert.Null(FrameHeader.Read(bytes, Shape, route, out var read));
        Assert.Equal(header, read);
        Assert.Equal(payloadBytes, read.PayloadBytes);
    }

    [Theory, MemberData(nameof(Bad))]
    public void A_header_that_is_not_allowed_is_refused_though_its_check_is_right(FrameHeader header, FrameRoute route)
    {
        var bytes = new byte[FrameHeader.SizeBytes];
        header.Write(bytes);

        Assert.NotNull(FrameHeader.Read(bytes, Shape, route, out _));
    }

    [Fact]
    public void Any_flipped_bit_of_a_header_is_noticed()
    {
        var bytes = new byte[FrameHeader.SizeBytes];
        new FrameHeader(FrameKind.ZeroRun, 0, 3, 5, 7).Write(bytes);
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << bit % 8);
            Assert.NotNull(FrameHeader.Read(bytes, Shape, FrameRoute.PageChannel, out _));
            bytes[bit / 8] ^= (byte)(1 << bit % 8);
        }
    }

    [Fact]
    public void No_random_header_with_a_right_check_asks_for_more_than_a_frame()
    {
        var random = new Random(4);
        var bytes = new byte[FrameHeader.SizeBytes];
        for (int round = 0; round < 200_000; round++)
        {
            random.NextBytes(bytes);
            bytes[4] = (byte)random.Next(20);
            bytes[5] = 0;
            if (round % 2 == 0) bytes.AsSpan(18, 6).Clear();
            if (round % 3 == 0) bytes.AsSpan(26, 6).Clear();
            if (round % 5 == 0) bytes.AsSpan(6, 2).Clear();
            BitConverter.TryWriteBytes(bytes, Crc32C.Compute(bytes.AsSpan(4)));
            foreach (var route in Enum.GetValues<FrameRoute>())
                if (FrameHeader.Read(bytes, Shape, route, out var header) is null)
                {
                    Assert.InRange(header.PayloadBytes, 0, DataPlaneWire.MaxPayloadBytes);
                    if (header.Kind is FrameKind.Pages or FrameKind.ZeroRun)
                        Assert.True(header.First + header.Count <= Shape.PageCount);
                }
        }
    }

    [Fact]
    public void A_hello_comes_back_as_it_was_written_and_garbage_is_told_at_once()
    {
        var token = new SessionToken(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray());
        var hello = new ChannelHello(1, 2, 3, token, Shape, Link: 7);
        var bytes = new byte[ChannelHello.SizeBytes];
        hello.Write(bytes);

        Assert.Null(ChannelHello.Read(bytes, out var read));
        Assert.Equal(hello, read);
        Assert.True(ChannelHello.CouldBegin(bytes.AsSpan(0, 3)));
        Assert.False(ChannelHello.CouldBegin("G"u8));
        for (int at = 0; at < bytes.Length; at++)
        {
            bytes[at] ^= 1;
            Assert.NotNull(ChannelHello.Read(bytes, out _));
            bytes[at] ^= 1;
        }
    }

    [Fact]
    public void Where_a_destination_stands_comes_back_as_it_was_written_and_a_flipped_bit_is_told()
    {
        var standing = new LinkStanding(0xFEDC_BA98_7654_3210, 65535, [new(0, ulong.MaxValue, 7), new(1, 0, 0), new(2, 1 << 20, uint.MaxValue)]);
        byte[] bytes = standing.ToBytes();

        Assert.Equal(LinkStanding.SizeBytes(3), bytes.Length);
        var read = LinkStanding.TryRead(bytes)!;
        Assert.Equal((standing.Incarnation, standing.Link), (read.Incarnation, read.Link));
        Assert.Equal(standing.Devices, read.Devices);
        for (int at = 0; at < bytes.Length; at++)
        {
            bytes[at] ^= 1;
            Assert.Null(LinkStanding.TryRead(bytes));
            bytes[at] ^= 1;
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(3, 3)]
    [InlineData(0, 17)]
    public void A_hello_names_one_of_2_to_16_channels(int channel, int channels)
    {
        var bytes = new byte[ChannelHello.SizeBytes];
        new ChannelHello(1, (ushort)channel, (ushort)channels, default, Shape).Write(bytes);

        Assert.NotNull(ChannelHello.Read(bytes, out _));
    }

    [Fact]
    public void A_manifest_comes_back_as_it_was_written_and_tells_what_differs()
    {
        var manifest = new TransferManifest(new byte[32], [new DeviceStream(0, 5, 6), new DeviceStream(3, 7, 8)]);
        var read = TransferManifest.TryRead(manifest.ToBytes());

        Assert.NotNull(read);
        Assert.Null(read.DifferenceFrom(manifest));
        Assert.Equal(manifest.Digest, read.Digest);
        Assert.NotNull(manifest.DifferenceFrom(manifest with { Devices = [new DeviceStream(0, 5, 6)] }));
        Assert.NotNull(manifest.DifferenceFrom(manifest with { Devices = [new DeviceStream(0, 5, 6), new DeviceStream(3, 7, 9)] }));
        var otherPages = new byte[32];
        otherPages[31] = 1;
        Assert.NotNull(manifest.DifferenceFrom(manifest with { PageDigest = otherPages }));
    }

    [Fact]
    public void A_malformed_manifest_is_refused()
    {
        byte[] good = new TransferManifest(new byte[32], [new DeviceStream(0, 5, 6), new DeviceStream(3, 7, 8)]).ToBytes();
        byte[] outOfOrder = new TransferManifest(new byte[32], [new DeviceStream(3, 5, 6), new DeviceStream(3, 7, 8)]).ToBytes();
        byte[] tooMany = [.. good];
        tooMany[32] = 200;

        for (int length = 0; length < good.Length; length++) Assert.Null(TransferManifest.TryRead(good.AsSpan(0, length)));
        Assert.Null(TransferManifest.TryRead([.. good, 0]));
        Assert.Equal(new byte[32], TransferManifest.TryRead([.. good, .. new byte[32]])!.RamHash.ToArray());
        Assert.Null(TransferManifest.TryRead([.. good, .. new byte[33]]));
        Assert.Null(TransferManifest.TryRead(outOfOrder));
        Assert.Null(TransferManifest.TryRead(tooMany));
    }

    [Fact]
    public void A_session_token_is_read_as_hexadecimal_and_never_printed()
    {
        var token = new SessionToken(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray());

        Assert.Equal(token, SessionToken.Parse(token.ToHexadecimal()));
        Assert.NotEqual(token, default);
        Assert.DoesNotContain("0102", token.ToString(), StringComparison.Ordinal);
        Assert.Throws<FormatException>(() => SessionToken.Parse("0102"));
    }
}
