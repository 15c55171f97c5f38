using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>
/// A way between two daemons' namespaces that leads through this process: a TUN device in each, and a route to the other's address over it. Packets
/// are passed on late, each after a time drawn for it alone, so that they overtake one another. What is under way when it ends is delivered.
/// </summary>
/// <remarks>Instead of the kernel's netem, which not every kernel has.</remarks>
internal sealed class Detour : IDisposable
{
    private const int MostBytes = 65536;
    private static readonly TimeSpan LongestPoll = TimeSpan.FromMilliseconds(50);

    private readonly End[] _ends;
    private readonly TimeSpan _delay;
    private readonly TimeSpan _jitter;
    private readonly Random _random;
    private readonly Thread _thread;
    private volatile bool _closing;

    /// <param name="number">of the fault: none other has it, and among several on one way the lowest is taken. It is in both devices' name.</param>
    /// <param name="one">a daemon's namespace and address.</param>
    /// <param name="delay">that every packet waits.</param>
    /// <param name="jitter">up to which it waits on top.</param>
    /// <exception cref="IOException">what could not be made; then there is nothing left of it.</exception>
    public Detour(
        int number, (string Namespace, string Address) one, (string Namespace, string Address) other, TimeSpan delay, TimeSpan jitter, int seed)
    {
        (_delay, _jitter, _random) = (delay, jitter, new Random(seed));
        var first = End.Make(number, one.Namespace, other.Address);
        try
        {
            _ends = [first, End.Make(number, other.Namespace, one.Address)];
        }
        catch
        {
            first.Dispose();
            throw;
        }

        foreach (var (end, from) in _ends.Zip((string[])[one.Address, other.Address])) end.Route(from);
        _thread = new Thread(Carry) { IsBackground = true, Name = $"detour {number}" };
        _thread.Start();
    }

    public void Dispose()
    {
        foreach (var end in _ends) end.Unroute();
        _closing = true;
        _thread.Join();
        foreach (var end in _ends) end.Dispose();
    }

    private void Carry()
    {
        var late = new PriorityQueue<(int To, byte[] Packet, int Length), long>();
        byte[] buffer = new byte[MostBytes];
        while (!_closing || late.Count > 0)
        {
            var wait = late.TryPeek(out _, out long due) ? TimeSpan.FromTicks(Math.Max(0, due - Now)) : LongestPoll;
            // Rounded up: a poll of 0 ms would spin until the packet is due.
            int milliseconds = (int)Math.Ceiling(Math.Min(wait.TotalMilliseconds, LongestPoll.TotalMilliseconds));
            Poll[] polls = [new(_ends[0].Handle), new(_ends[1].Handle)];
            // SAFETY: poll(2) reads and writes exactly the array of the length given, which lives through the call.
            if (poll(polls, (nuint)polls.Length, milliseconds) > 0)
                for (int from = 0; from < polls.Length; from++)
                    if (polls[from].IsReadable) Take(from);
            while (late.TryPeek(out var packet, out due) && due <= Now)
            {
                late.Dequeue();
                _ends[packet.To].Write(packet.Packet.AsSpan(0, packet.Length));
                ArrayPool<byte>.Shared.Return(packet.Packet);
            }
        }

        void Take(int from)
        {
            int length = _ends[from].Read(buffer);
            if (length == 0) return;
            byte[] packet = ArrayPool<byte>.Shared.Rent(length);
            buffer.AsSpan(0, length).CopyTo(packet);
            late.Enqueue((1 - from, packet, length), Now + (_delay + _random.NextDouble() * _jitter).Ticks);
        }
    }

    private static long Now => Stopwatch.GetElapsedTime(0).Ticks;

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int poll([In, Out] Poll[] files, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct Poll(SafeFileHandle file)
    {
        private const short POLLIN = 1;

        private readonly int _file = (int)file.DangerousGetHandle();
        private readonly short _events = POLLIN;
        private readonly short _happened;

        public readonly bool IsReadable => (_happened & POLLIN) != 0;
    }

    /// <summary>The device in one namespace, and the way there to the other's address.</summary>
    private sealed class End : IDisposable
    {
        private const int CLONE_NEWNET = 0x40000000;
        private const nuint TUNSETIFF = 0x400454ca;
        private const short IFF_TUN = 1;
        private const short IFF_NO_PI = 0x1000;
        private const int NameBytes = 16;

        private readonly int _number;
        private readonly string _namespace;
        private readonly string _to;
        private readonly FileStream _stream;

        private End(int number, string @namespace, string to, SafeFileHandle file)
        {
            (_number, _namespace, _to) = (number, @namespace, to);
            _stream = new FileStream(file, FileAccess.ReadWrite, bufferSize: 0);
        }

        private string[] Way => [_to + "/32", "dev", DeviceOf(_number), "metric", _number.ToString(CultureInfo.InvariantCulture)];

        public SafeFileHandle Handle => _stream.SafeFileHandle;

        /// <summary>A thread that has entered a namespace ends there: no other work is to find itself in it.</summary>
        public static End Make(int number, string @namespace, string to)
        {
            SafeFileHandle? made = null;
            Exception? wrong = null;
            var thread = new Thread(() =>
            {
                try
                {
                    made = Open(DeviceOf(number), @namespace);
                }
                catch (Exception error)
                {
                    wrong = error;
                }
            });
            thread.Start();
            thread.Join();
            if (wrong is not null) throw new IOException($"a TUN device in {@namespace}: {wrong.Message}", wrong);
            var end = new End(number, @namespace, to, made!);
            try
            {
                Shell.Run("ip", "-n", @namespace, "link", "set", DeviceOf(number), "up");
                return end;
            }
            catch
            {
                end.Dispose();
                throw;
            }
        }

        public void Route(string from) => Shell.Run(["ip", "-n", _namespace, "route", "add", .. Way, "src", from]);

        public void Unroute() => Shell.Run(["ip", "-n", _namespace, "route", "delete", .. Way]);

        /// <returns>the packet's bytes; 0: there is none, for the namespace is being taken away.</returns>
        public int Read(Span<byte> packet)
        {
            try
            {
                return _stream.Read(packet);
            }
            catch (IOException)
            {
                return 0;
            }
        }

        public void Write(ReadOnlySpan<byte> packet)
        {
            try
            {
                _stream.Write(packet);
            }
            catch (IOException)
            {
                // A packet that the other side does not take is lost, as packets are.
            }
        }

        /// <summary>The device is gone with its last descriptor.</summary>
        public void Dispose() => _stream.Dispose();

        private static string DeviceOf(int number) => $"detour{number}";

        private static SafeFileHandle Open(string device, string @namespace)
        {
            using (var there = File.OpenHandle("/run/netns/" + @namespace, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
            {
                // SAFETY: setns(2) takes an open descriptor and a number; it moves this thread alone.
                if (setns((int)there.DangerousGetHandle(), CLONE_NEWNET) != 0) throw Failed("setns");
            }

            var file = File.OpenHandle("/dev/net/tun", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            byte[] request = new byte[40];
            System.Text.Encoding.ASCII.GetBytes(device, request.AsSpan(0, NameBytes - 1));
            BitConverter.TryWriteBytes(request.AsSpan(NameBytes), (short)(IFF_TUN | IFF_NO_PI));
            // SAFETY: TUNSETIFF reads and writes a struct ifreq (linux/if.h), 40 bytes long, which the array holds through the call.
            if (ioctl((int)file.DangerousGetHandle(), TUNSETIFF, request) == 0) return file;
            var failed = Failed("TUNSETIFF");
            file.Dispose();
            throw failed;
        }

        private static IOException Failed(string call) => new($"{call}: {Marshal.GetLastPInvokeErrorMessage()}");

        [DllImport("libc", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
        private static extern int setns(int file, int kind);

        [DllImport("libc", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
        private static extern int ioctl(int file, nuint request, byte[] argument);
    }
}
