using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;

namespace MigrationCluster.Devices.Tests.Sysfs.Fuse;

/// <summary>
/// A tree mounted for one test. The mount has a name only while it is made: then it hangs on a descriptor of this process,
/// and nothing is left of it however the test or the process ends.
/// </summary>
internal sealed class FuseMount : IDisposable
{
    private const int O_PATH = 0x200000;
    private const int MNT_DETACH = 2;
    private static readonly Lazy<string?> LazyUnavailable = new(Probe);

    private readonly SafeFileHandle _stop = EventFd.Create();
    private readonly SafeFileHandle _device;
    private readonly SafeFileHandle _root;
    private readonly Thread _thread;

    internal FuseMount(FuseTree tree)
    {
        _device = Open("/dev/fuse", Libc.O_RDWR | Libc.O_NONBLOCK | Libc.O_CLOEXEC);
        _thread = new Thread(() => Serve(new FuseSession(tree, _device))) { Name = "fuse", IsBackground = true };
        try
        {
            _root = MountDetached(_device, _thread.Start);
        }
        catch
        {
            Stop();
            throw;
        }
    }

    /// <summary>Why this machine cannot mount; null: it can.</summary>
    internal static string? Unavailable => LazyUnavailable.Value;

    /// <summary>The tree's root, for this process and its children.</summary>
    internal string Root => $"/proc/{Environment.ProcessId}/fd/{_root.DangerousGetHandle()}";

    public void Dispose()
    {
        _root.Dispose();
        Stop();
    }

    // Closing the device aborts the connection, even where somebody still holds a file open.
    private void Stop()
    {
        EventFd.Signal(_stop);
        if (_thread.IsAlive) _thread.Join();
        _device.Dispose();
        _stop.Dispose();
    }

    private void Serve(FuseSession session)
    {
        while (true)
        {
            EventFd.Wait([_device, _stop], Timeout.InfiniteTimeSpan);
            if (EventFd.Take(_stop) != 0 || !session.Serve()) return;
        }
    }

    /// <returns>the root of the mount, which has no place in the file system any more.</returns>
    private static SafeFileHandle MountDetached(SafeFileHandle device, Action serve)
    {
        string point = Directory.CreateTempSubdirectory("mc-fuse").FullName;
        try
        {
            string options = $"fd={device.DangerousGetHandle()},rootmode=40000,user_id={geteuid()},group_id={getegid()}";
            // SAFETY: strings are copied by the kernel during the call; the descriptor in the options is open.
            if (mount("mc-fuse", point, "fuse", 0, options) != 0) throw Libc.Failure("cannot mount a FUSE tree");
            try
            {
                serve();
                return Open(point, O_PATH | Libc.O_CLOEXEC);
            }
            finally
            {
                // SAFETY: takes a path by value.
                _ = umount2(point, MNT_DETACH);
            }
        }
        finally
        {
            Directory.Delete(point);
        }
    }

    private static SafeFileHandle Open(string path, int flags)
    {
        // SAFETY: a new descriptor, owned by the handle from here on.
        int descriptor = Libc.open(path, flags);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw Libc.Failure($"cannot open {path}");
    }

    private static string? Probe()
    {
        try
        {
            using var mount = new FuseMount(new FuseTree());
            return null;
        }
        catch (Exception e) when (e is IOException or DllNotFoundException or UnauthorizedAccessException)
        {
            return $"needs /dev/fuse and the right to mount: {e.Message}";
        }
    }

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    private static extern int mount(string source, string target, string type, nuint flags, string data);

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    private static extern int umount2(string target, int flags);

    [DllImport("libc")]
    private static extern uint geteuid();

    [DllImport("libc")]
    private static extern uint getegid();
}
