using MigrationCluster.Devices;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Guest.Tests.Relay;

public sealed class RetainedStreamTests : IDisposable
{
    private readonly RetainedStream _stream = new();

    public RetainedStreamTests() => _stream.Restart();

    public void Dispose() => _stream.Dispose();

    [Fact]
    public void Bytes_are_read_again_across_the_rings_end_until_they_are_acknowledged()
    {
        byte[] piece = new byte[5 << 20];
        var random = new Random(1);
        uint crc = 0;
        for (int i = 0; i < 10; i++)
        {
            random.NextBytes(piece);
            crc = Crc32C.Append(crc, piece);
            ulong start = _stream.End;
            _stream.Append(piece);
            byte[] again = new byte[piece.Length + 100];
            Assert.Equal(piece.Length, _stream.Read(start, again));
            Assert.True(piece.AsSpan().SequenceEqual(again.AsSpan(0, piece.Length)));
            Assert.Equal(piece.Length - 7, _stream.Read(start + 7, again));
            Assert.True(piece.AsSpan(7).SequenceEqual(again.AsSpan(0, piece.Length - 7)));
            _stream.Acknowledge(_stream.End);
        }
        Assert.Equal(crc, _stream.Crc);
        Assert.Equal(50UL << 20, _stream.End);
    }

    [Fact]
    public void The_window_bounds_what_is_taken_and_released_bytes_are_gone()
    {
        byte[] piece = new byte[1 << 20];
        while (_stream.Room > 0) _stream.Append(piece);
        Assert.Equal((ulong)RetainedStream.WindowBytes, _stream.End);
        Assert.Throws<InvalidOperationException>(() => _stream.Append([1]));

        _stream.Acknowledge(1000);
        Assert.Equal(1000, _stream.Room);
        Assert.Throws<DeviceRefusedException>(() => _stream.Read(999, piece));
        Assert.Throws<DeviceRefusedException>(() => _stream.Read(_stream.End + 1, piece));
        Assert.Throws<DeviceRefusedException>(() => _stream.Acknowledge(_stream.End + 1));
        _stream.Acknowledge(10);
        Assert.Equal(1000UL, _stream.Acknowledged);

        _stream.Restart();
        Assert.Equal((0UL, 0u, RetainedStream.WindowBytes), (_stream.End, _stream.Crc, _stream.Room));
    }
}
