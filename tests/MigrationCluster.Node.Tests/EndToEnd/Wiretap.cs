using System.Runtime.InteropServices;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Everything that goes over the network of a namespace, packet by packet, as somebody sees it who sits on the cable.</summary>
internal sealed class Wiretap : IDisposable
{
    private const int NewNetwork = 0x40000000; // CLONE_NEWNET, <linux/sched.h>
    private const int Packet = 17, Raw = 3; // AF_PACKET, SOCK_RAW
    private const int EveryProtocol = 0x0300; // ETH_P_ALL in network order
    private const int SocketLevel = 1, ReceiveTimeout = 20, ReceiveBufferForce = 33; // <asm-generic/socket.h>
    private const int MaxPacketBytes = 128 << 10;

    private readonly List<byte[]> _packets = [];
    private readonly TaskCompletionSource _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private volatile bool _ended;

    public Wiretap(string networkNamespace)
    {
        // A namespace is a thread's: this one never does anything else.
        _thread = new Thread(() => Listen(networkNamespace)) { IsBackground = true, Name = "wiretap" };
        _thread.Start();
        _listening.Task.Wait(Eventually.Limit);
    }

    /// <summary>What was seen, once it has ended.</summary>
    public IReadOnlyList<byte[]> Packets => _ended && !_thread.IsAlive ? _packets : throw new InvalidOperationException("it listens still");

    public long Bytes => Packets.Sum(packet => (long)packet.Length);

    public bool Saw(ReadOnlySpan<byte> bytes)
    {
        foreach (byte[] packet in Packets)
            if (packet.AsSpan().IndexOf(bytes) >= 0) return true;
        return false;
    }

    /// <summary>Ends it; what it saw stays.</summary>
    public void Dispose()
    {
        _ended = true;
        _thread.Join();
    }

    private void Listen(string networkNamespace)
    {
        int tap = -1;
        try
        {
            using var space = File.OpenHandle(networkNamespace);
            Check(setns((int)space.DangerousGetHandle(), NewNetwork), "setns");
            tap = Check(socket(Packet, Raw, EveryProtocol), "socket");
            long[] halfASecond = [0, 500_000];
            int buffer = 64 << 20;
            Check(setsockopt(tap, SocketLevel, ReceiveTimeout, halfASecond, 16), "SO_RCVTIMEO");
            Check(setsockopt(tap, SocketLevel, ReceiveBufferForce, ref buffer, sizeof(int)), "SO_RCVBUFFORCE");
            _listening.SetResult();
            var packet = new byte[MaxPacketBytes];
            while (!_ended)
            {
                nint count = recv(tap, packet, packet.Length, 0);
                if (count > 0) _packets.Add(packet[..(int)count]);
            }
        }
        catch (Exception error)
        {
            _listening.TrySetException(error);
        }
        finally
        {
            if (tap >= 0) _ = close(tap);
        }
    }

    private static int Check(int result, string call) =>
        result >= 0 ? result : throw new IOException($"{call}: errno {Marshal.GetLastPInvokeError()}");

    // SAFETY: plain calls of libc; buffers are pinned while a call lasts, and results are checked.
    [DllImport("libc", SetLastError = true)]
    private static extern int setns(int descriptor, int kind);

    [DllImport("libc", SetLastError = true)]
    private static extern int socket(int family, int type, int protocol);

    [DllImport("libc", SetLastError = true)]
    private static extern int setsockopt(int socket, int level, int name, long[] value, int length);

    [DllImport("libc", SetLastError = true)]
    private static extern int setsockopt(int socket, int level, int name, ref int value, int length);

    [DllImport("libc", SetLastError = true)]
    private static extern nint recv(int socket, byte[] buffer, nint length, int flags);

    [DllImport("libc")]
    private static extern int close(int descriptor);
}
