using System.Text;
using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Hosting;

/// <summary>
/// A node's directory, held by one mc-node at a time (flock on <c>lock</c>).
/// <code>
///   lock            held for life        agent.db         this host's side of migrations
///   node.json       name and id          coordinator.db   rows and journal, on a coordinator
///   guests/NAME/    launch.json, fence, pid, guest.log and the sockets of one guest process
/// </code>
/// </summary>
public sealed class DataDirectory : IDisposable
{
    private const int LongestName = 32;

    private readonly FileStream _lock;

    private DataDirectory(string path, FileStream locked, string nodeId) => (Path, _lock, NodeId) = (path, locked, nodeId);

    public string Path { get; }

    /// <summary>Made once: tells two nodes that were given the same name apart.</summary>
    public string NodeId { get; }

    public string AgentJournal => System.IO.Path.Combine(Path, "agent.db");

    public string CoordinatorStore => System.IO.Path.Combine(Path, "coordinator.db");

    public string Guests => System.IO.Path.Combine(Path, "guests");

    public string Guest(GuestName guest) => System.IO.Path.Combine(Guests, guest.Value);

    /// <exception cref="StartRefusedException">not usable, in use by another mc-node, or of another node.</exception>
    public static DataDirectory Open(string path, HostName name)
    {
        string full = System.IO.Path.GetFullPath(path);
        CheckLength(full);
        FileStream? locked = null;
        try
        {
            Directory.CreateDirectory(System.IO.Path.Combine(full, "guests"));
            locked = TakeLock(full);
            return new DataDirectory(full, locked, ReadOrMakeId(full, name));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            locked?.Dispose();
            throw new StartRefusedException($"cannot use data directory {full}: {error.Message}", inner: error);
        }
        catch
        {
            locked?.Dispose();
            throw;
        }
    }

    public void Dispose() => _lock.Dispose();

    private static void CheckLength(string path)
    {
        string longest = System.IO.Path.Combine(
            path, "guests", new string('g', LongestName), GuestFiles.Endpoint(DeviceName.Machine));
        int excess = Encoding.UTF8.GetByteCount(longest) - UnixSocketPath.MaxBytes;
        if (excess > 0)
            throw new StartRefusedException(
                $"data directory {path} is {excess} bytes too long: socket paths of its guests " +
                $"(guests/NAME/DEVICE.sock) end at {UnixSocketPath.MaxBytes} bytes", exitCode: 2);
    }

    private static FileStream TakeLock(string path)
    {
        string file = System.IO.Path.Combine(path, "lock");
        try
        {
            // FileShare.None is flock(LOCK_EX) on Linux; the kernel lets go of it however this process ends.
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error)
        {
            throw new StartRefusedException(
                $"data directory {path} is in use by another mc-node (it holds {file})", inner: error);
        }
    }

    private static string ReadOrMakeId(string path, HostName name)
    {
        string file = System.IO.Path.Combine(path, "node.json");
        if (!File.Exists(file))
        {
            var made = new DirectoryOwner(name.Value, Guid.NewGuid().ToString("n"));
            File.WriteAllText(file + ".tmp", JsonSerializer.Serialize(made, NodeJson.Strict.Of<DirectoryOwner>()) + "\n");
            File.Move(file + ".tmp", file);
            return made.Id;
        }

        try
        {
            var known = JsonSerializer.Deserialize(File.ReadAllText(file), NodeJson.Strict.Of<DirectoryOwner>())!;
            return known.Name == name.Value
                ? known.Id
                : throw new StartRefusedException($"data directory {path} belongs to node {known.Name}, not to {name}");
        }
        catch (JsonException error)
        {
            throw new StartRefusedException($"{file}: {JsonErrors.Describe(error)}", inner: error);
        }
    }
}

internal sealed record DirectoryOwner(string Name, string Id);
