using System.Text;

namespace MigrationCluster.Devices.Native;

/// <summary>The length rule of UNIX socket paths: 107 bytes and a NUL (unix(7)).</summary>
public static class UnixSocketPath
{
    public const int MaxBytes = 107;

    /// <returns>the path.</returns>
    /// <exception cref="ArgumentException">empty or too long; names the path and its length.</exception>
    public static string Check(string path)
    {
        int bytes = Encoding.UTF8.GetByteCount(path);
        if (bytes == 0) throw new ArgumentException("a socket path is empty");
        return bytes <= MaxBytes
            ? path
            : throw new ArgumentException($"socket path '{path}' has {bytes} bytes, UNIX sockets take at most {MaxBytes}");
    }
}
