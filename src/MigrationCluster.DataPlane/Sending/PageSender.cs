using System.Runtime.InteropServices;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>Sends one channel's share of a pass.</summary>
/// <remarks>
/// A live page changes while it is sent, so it is copied into the channel's buffer first, and the check covers the copy.
/// A page that changes between the two looks at it is dirty again and comes with the next pass.
/// </remarks>
internal sealed class PageSender(
    SendChannel channel, int channels, MappedGuestRam ram, PagePass pass, BreakFunnel funnel, TransferMeter meter)
{
    private const int PageSizeBytes = GuestMemoryLayout.PageSizeBytes;

    private int _stretch; // of data: the first that ends after the page last looked at

    /// <summary>Ends when all of the share was acknowledged.</summary>
    internal void Run(CancellationToken cancellationToken)
    {
        using var registration = CancelWith(cancellationToken);
        SendAll(cancellationToken);
        WaitForAcks(cancellationToken);
    }

    /// <summary>Ends when nothing is under way on this channel, of whatever pass.</summary>
    internal void Drain(CancellationToken cancellationToken)
    {
        using var registration = CancelWith(cancellationToken);
        WaitForAcks(cancellationToken);
    }

    private CancellationTokenRegistration CancelWith(CancellationToken cancellationToken) =>
        cancellationToken.UnsafeRegister(static channel => ((SendChannel)channel!).Cancel(), channel);

    private void WaitForAcks(CancellationToken cancellationToken)
    {
        while (!channel.Window.IsEmpty) SendOrWait(cancellationToken);
    }

    private void SendOrWait(CancellationToken cancellationToken)
    {
        funnel.ThrowIfBroken();
        if (channel.MaySend()) channel.Send(cancellationToken);
        else channel.WaitForCredit(cancellationToken);
    }

    private void SendAll(CancellationToken cancellationToken)
    {
        for (long from = 0; pass.TryNextRun(channel.Number, channels, from, out long page, out long count);)
        {
            for (from = page + count; page < from;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int zeros = CountZeroPages(page, from);
                int data = zeros > 0 ? 0 : CountDataPages(page, from);
                while (!channel.HasRoom(FrameHeader.SizeBytes + data * (sizeof(uint) + PageSizeBytes), data * PageSizeBytes))
                    SendOrWait(cancellationToken);
                if (zeros > 0) AppendZeroRun(page, zeros);
                else AppendPages(page, data);
                page += zeros + data;
            }
        }
    }

    private void AppendZeroRun(long page, int count)
    {
        channel.Append(new SentFrame(FrameKind.ZeroRun, 0, (ulong)page, (ulong)count, 0, pass.Number));
        ram.Digests(page, count).Fill(Crc32C.OfZeroPage);
        meter.AddZeros((long)count * PageSizeBytes);
    }

    private void AppendPages(long page, int count)
    {
        int bytes = count * PageSizeBytes;
        var payload = channel.Append(new SentFrame(FrameKind.Pages, 0, (ulong)page, (ulong)count, bytes, pass.Number));
        // The table's bytes are little-endian on the wire, as on every machine that has a guest here.
        var checks = MemoryMarshal.Cast<byte, uint>(payload[..(count * sizeof(uint))]);
        var digests = ram.Digests(page, count);
        var source = ram.Pages(page, count);
        var copy = payload[(count * sizeof(uint))..];
        for (int i = 0; i < count; i++)
        {
            int at = i * PageSizeBytes;
            checks[i] = digests[i] = Crc32C.Copy(source.Slice(at, PageSizeBytes), copy.Slice(at, PageSizeBytes));
        }
        meter.AddPages(bytes);
    }

    /// <summary>How many pages from here on are holes or hold only zeros.</summary>
    private int CountZeroPages(long page, long end)
    {
        long at = page;
        while (at < end)
        {
            long hole = HoleEnd(at);
            if (hole > at) at = Math.Min(hole, end);
            else if (ZeroPage.IsZero(ram.Pages(at, 1))) at++;
            else break;
        }
        return (int)(at - page);
    }

    /// <summary>How many pages from here on go into one frame; the first is known to hold data.</summary>
    private int CountDataPages(long page, long end)
    {
        end = Math.Min(Math.Min(end, page + DataPlaneWire.MaxPagesPerFrame), ram.WindowEnd(page));
        long at = page + 1;
        while (at < end && HoleEnd(at) <= at && !ZeroPage.IsZero(ram.Pages(at, 1))) at++;
        return (int)(at - page);
    }

    /// <summary>The end of the hole that this page lies in, or the page itself.</summary>
    private long HoleEnd(long page)
    {
        while (_stretch < pass.Data.Count && pass.Data[_stretch].End <= page) _stretch++;
        return _stretch == pass.Data.Count ? ram.Layout.PageCount : Math.Max(page, pass.Data[_stretch].First);
    }
}
