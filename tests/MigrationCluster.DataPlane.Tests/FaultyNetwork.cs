using System.Net;
using System.Net.Sockets;

namespace MigrationCluster.DataPlane.Tests;

internal enum NetworkFault
{
    /// <summary>The connection ends, with what the network last brought lost in whole.</summary>
    Cut,

    /// <summary>The connection ends inside what it last brought.</summary>
    CutInFrame,

    /// <summary>Nothing passes for a while.</summary>
    Stall,

    /// <summary>Everything passes slowly for a while.</summary>
    Slow,

    /// <summary>Somebody connects and says again what opened a connection: in plain mode a whole new link of the session.</summary>
    Duplicate,
}

/// <summary>A network that fails in every way at random places, a few times; then it is sound.</summary>
internal sealed class FaultyNetwork
{
    private const int Planned = 64;
    private const int OpeningBytes = 512; // more than what opens a connection, in either mode
    private const int SlowReads = 40;
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);

    private readonly IPEndPoint _to;
    private readonly (long At, NetworkFault Fault, TimeSpan For)[] _plan;
    private readonly byte[]?[] _openings = new byte[Planned][];
    private readonly int[] _slow = new int[Planned];
    private readonly bool[] _done = new bool[Planned];
    private readonly System.Collections.Concurrent.ConcurrentBag<Task> _duplicates = [];
    private int _left;

    /// <param name="to">the destination's data port.</param>
    internal FaultyNetwork(IPEndPoint to, int seed)
    {
        var random = new Random(seed);
        _to = to;
        _left = random.Next(1, 8);
        int kinds = Enum.GetValues<NetworkFault>().Length;
        _plan =
        [
            .. Enumerable.Range(0, Planned).Select(_ => (
                random.NextInt64(1, 12 << 20), (NetworkFault)random.Next(kinds), TimeSpan.FromMilliseconds(random.Next(10, 300)))),
        ];
        Proxy = new FaultProxy(to, PassAsync);
    }

    internal FaultProxy Proxy { get; }

    /// <summary>How often each happened.</summary>
    internal int[] Met { get; } = new int[Enum.GetValues<NetworkFault>().Length];

    /// <summary>Ends when nobody that this network made up is connected any more.</summary>
    internal Task SettleAsync() => Task.WhenAll(_duplicates);

    /// <summary>One call at a time for a connection.</summary>
    private async ValueTask<int> PassAsync(int connection, long position, Memory<byte> bytes)
    {
        int number = connection % Planned;
        if (position == 0) _openings[number] = bytes[..Math.Min(bytes.Length, OpeningBytes)].ToArray();
        if (_slow[number] > 0)
        {
            _slow[number]--;
            await Task.Delay(Moment);
        }
        var (at, fault, time) = _plan[number];
        if (_done[number] || position + bytes.Length <= at || Interlocked.Decrement(ref _left) < 0) return bytes.Length;
        // A connection meets one fault; where it is cut the next one of the same plan meets none.
        _done[number] = true;
        Interlocked.Increment(ref Met[(int)fault]);
        switch (fault)
        {
            case NetworkFault.Cut:
                return 0;
            case NetworkFault.CutInFrame:
                return (int)Math.Max(at - position, 0);
            case NetworkFault.Stall:
                await Task.Delay(time);
                break;
            case NetworkFault.Slow:
                _slow[number] = SlowReads;
                break;
            case NetworkFault.Duplicate:
                _duplicates.Add(ConnectAgainAsync(_openings[number]!));
                break;
        }
        return bytes.Length;
    }

    /// <summary>Says it, and goes when the destination has answered or closed.</summary>
    private async Task ConnectAgainAsync(byte[] opening)
    {
        using var socket = await RawPeer.ConnectAsync(_to);
        try
        {
            await socket.SendAsync(opening);
            await socket.ReceiveAsync(new byte[OpeningBytes]).WaitAsync(LoopbackSession.Hang);
        }
        catch (SocketException)
        {
            // Refused without a word: so be it.
        }
    }
}
