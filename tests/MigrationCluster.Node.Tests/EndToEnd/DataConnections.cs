using System.Globalization;
using System.Runtime.InteropServices;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>The connections of a node's data port, cut from outside: the node sees what a network does to it.</summary>
internal static class DataConnections
{
    private const long PidfdOpen = 434, PidfdGetfd = 438; // <asm/unistd.h>
    private const int ShutReadWrite = 2;
    private const string Established = "01", Listening = "0A"; // <net/tcp_states.h>

    /// <returns>how many were cut.</returns>
    public static int Cut(NodeProcess node)
    {
        var sockets = SocketsOf(node.Id);
        var connections = File.ReadLines("/proc/net/tcp").Skip(1)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(fields => (Port: PortOf(fields[1]), State: fields[3], Inode: fields[9]))
            .Where(connection => sockets.ContainsKey(connection.Inode)).ToList();
        var dataPorts = connections.Where(connection => connection.State == Listening && connection.Port != node.Address.Port)
            .Select(connection => connection.Port).ToHashSet();
        return connections
            .Where(connection => connection.State == Established && dataPorts.Contains(connection.Port))
            .Count(connection => ShutDown(node.Id, sockets[connection.Inode]));
    }

    /// <summary>Descriptors of a process by the inode of their socket.</summary>
    private static Dictionary<string, int> SocketsOf(int process)
    {
        var sockets = new Dictionary<string, int>();
        foreach (string entry in Directory.EnumerateFiles($"/proc/{process}/fd"))
        {
            // A descriptor that has just been closed has no target any more.
            if (new FileInfo(entry).LinkTarget is { } target && target.StartsWith("socket:[", StringComparison.Ordinal))
                sockets[target["socket:[".Length..^1]] = int.Parse(Path.GetFileName(entry), CultureInfo.InvariantCulture);
        }
        return sockets;
    }

    private static int PortOf(string address) =>
        int.Parse(address[(address.IndexOf(':') + 1)..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static bool ShutDown(int process, int descriptor)
    {
        // SAFETY: pidfd_open(2), pidfd_getfd(2) and shutdown(2) take integers; both descriptors are this process's own and are closed here.
        long handle = syscall(PidfdOpen, process, 0, 0);
        if (handle < 0) throw new InvalidOperationException($"pidfd_open: errno {Marshal.GetLastPInvokeError()}");
        long copy = syscall(PidfdGetfd, handle, descriptor, 0);
        bool cut = copy >= 0 && shutdown((int)copy, ShutReadWrite) == 0;
        if (copy >= 0) _ = close((int)copy);
        _ = close((int)handle);
        return cut;
    }

    [DllImport("libc", SetLastError = true)]
    private static extern long syscall(long number, long first, long second, long third);

    [DllImport("libc")]
    private static extern int shutdown(int socket, int how);

    [DllImport("libc")]
    private static extern int close(int descriptor);
}
