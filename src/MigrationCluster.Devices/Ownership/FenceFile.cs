using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Faults;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Devices.Ownership;

/// <summary>
/// A guest's fence file on this host: its <see cref="FenceRecord"/> as JSON, and the lock of whoever may change it.
/// The guest process holds the lock for life; it outlives the process, because a dead process guards nothing, and then
/// a node opens it to raise the fence.
/// </summary>
/// <remarks>
/// The lock (flock(2)) lies on a file of its own beside the record, which is replaced by rename and so never the same
/// file twice. Device servers inherit the guest process's lock: whoever gets it knows that all of them are dead too,
/// and an orphaned server still does DMA. A change is on disk, file and directory, before it is answered. Thread-safe.
/// </remarks>
public sealed class FenceFile : IDisposable
{
    private const string LockName = GuestFiles.Fence + ".lock";
    private const string TemporaryName = GuestFiles.Fence + ".tmp";
    private const string FailpointScope = "fence";
    private const string Launched = "Launched";
    private const string Raised = "Raised";

    private readonly string _directory;
    private readonly SafeFileHandle _lockFile;
    private readonly Lock _sync = new();
    private FenceRecord? _record;

    private FenceFile(string directory, SafeFileHandle lockFile)
    {
        _directory = directory;
        _lockFile = lockFile;
        _record = Read(directory);
    }

    /// <summary>The environment variable by which a guest process arms its failpoints; it is told of them by the daemon's own.</summary>
    public const string FailpointVariable = "MC_GUEST_FAILPOINTS";

    /// <summary>Of every change of the record, before it is written and once it is on disk; in whichever process makes it.</summary>
    public static IReadOnlyList<string> FailpointNames { get; } =
        [.. ((string[])[Launched, Raised, .. Enum.GetNames<Vote>()]).SelectMany(what => Failpoints.Around(FailpointScope, what))];

    /// <summary>The record on disk; null: there is none yet.</summary>
    public FenceRecord? Record
    {
        get { lock (_sync) return _record; }
    }

    /// <summary>Takes the lock and reads the record.</summary>
    /// <param name="inheritLock">processes started from here on hold the lock too.</param>
    /// <param name="wait">how long to wait for a holder that is just ending.</param>
    /// <exception cref="FenceFileException">somebody else holds the lock, or the record cannot be read.</exception>
    public static FenceFile Open(string directory, bool inheritLock, TimeSpan wait)
    {
        var lockFile = OpenLock(Path.Combine(directory, LockName), inheritLock);
        try
        {
            long start = Stopwatch.GetTimestamp();
            // SAFETY: flock takes a descriptor by value, referenced during the call.
            while (flock(lockFile, LOCK_EX | LOCK_NB) != 0)
            {
                if (Marshal.GetLastPInvokeError() != EWOULDBLOCK)
                    throw new FenceFileException($"cannot lock {directory}/{LockName}: {Marshal.GetLastPInvokeErrorMessage()}");
                if (Stopwatch.GetElapsedTime(start) >= wait)
                    throw new FenceFileException(
                        $"{directory}/{LockName} is locked: the guest process or one of its device servers still lives");
                Thread.Sleep(20);
            }
            return new FenceFile(directory, lockFile);
        }
        catch
        {
            lockFile.Dispose();
            throw;
        }
    }

    /// <summary>Reads a record without the lock: what it says may change at once.</summary>
    /// <returns>null: there is none.</returns>
    /// <exception cref="FenceFileException">there is one that cannot be read; names the file.</exception>
    public static FenceRecord? Read(string directory)
    {
        string path = Path.Combine(directory, GuestFiles.Fence);
        byte[] json;
        try
        {
            json = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        try
        {
            return FenceJson.Read(json);
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            throw new FenceFileException($"fence file {path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Puts a record in the file's place, durably. For a launch; votes and raises have their own way.</summary>
    /// <exception cref="FenceFileException">the record's fence is older than the stored one.</exception>
    public void Store(FenceRecord record)
    {
        lock (_sync)
        {
            if (_record is not null && record.Fence < _record.Fence)
                throw new FenceFileException($"fence {record.Fence} is older than {_record.Fence} in {_directory}");
            Write(record, Launched);
        }
    }

    /// <summary>Binds a session at a fence: stored when it is higher.</summary>
    /// <returns>null: the fence is older than the record's, nothing changed.</returns>
    /// <exception cref="FenceFileException">there is no record.</exception>
    public FenceRecord? TryRaise(Fence fence)
    {
        lock (_sync)
        {
            var raised = Existing().TryRaise(fence);
            if (raised is not null && raised != _record) Write(raised, Raised);
            return raised;
        }
    }

    /// <summary>Casts a vote; it is on disk when this returns.</summary>
    /// <returns>the record, or the reason why the vote is excluded.</returns>
    /// <exception cref="FenceFileException">there is no record.</exception>
    public (FenceRecord? Record, string? Refusal) TryCast(Vote vote, string? digest)
    {
        lock (_sync)
        {
            var (cast, refusal) = Existing().TryCast(vote, digest);
            if (cast is not null && cast != _record) Write(cast, vote.ToString());
            return (cast, refusal);
        }
    }

    public void Dispose() => _lockFile.Dispose();

    private FenceRecord Existing() =>
        _record ?? throw new FenceFileException($"{_directory} holds no fence record");

    private void Write(FenceRecord record, string what)
    {
        Failpoints.Reach(FailpointScope, "before", what);
        string temporary = Path.Combine(_directory, TemporaryName);
        using (var file = File.OpenHandle(temporary, FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, FenceJson.Write(record), 0);
            RandomAccess.FlushToDisk(file);
        }
        File.Move(temporary, Path.Combine(_directory, GuestFiles.Fence), overwrite: true);
        SyncDirectory(_directory);
        Failpoints.Reach(FailpointScope, "after", what);
        _record = record;
    }

    private static void SyncDirectory(string path)
    {
        // SAFETY: open takes a path; the descriptor it returns is owned by the handle from the next line on.
        using var directory = new SafeFileHandle(open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0), ownsHandle: true);
        if (directory.IsInvalid || fsync(directory) != 0)
            throw new FenceFileException($"cannot sync directory {path}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    private static SafeFileHandle OpenLock(string path, bool inherit)
    {
        // SAFETY: as in SyncDirectory. Without O_CLOEXEC the descriptor, and with it the lock, passes to children.
        int descriptor = open(path, O_RDWR | O_CREAT | (inherit ? 0 : O_CLOEXEC), 0x180 /* 0600 */);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new FenceFileException($"cannot open {path}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    private const int O_RDONLY = 0;
    private const int O_RDWR = 2;
    private const int O_CREAT = 0x40;
    private const int O_DIRECTORY = 0x10000;
    private const int O_CLOEXEC = 0x80000;
    private const int LOCK_EX = 2;
    private const int LOCK_NB = 4;
    private const int EWOULDBLOCK = 11;

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    private static extern int open(string path, int flags, uint mode);

    [DllImport("libc", SetLastError = true)]
    private static extern int flock(SafeHandle file, int operation);

    [DllImport("libc", SetLastError = true)]
    private static extern int fsync(SafeHandle file);
}
