using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>
/// Files whose reads and writes are a driver's code (sysfs): the errno is the answer, and one write(2) is one question.
/// .NET's files turn an errno into one of a few exceptions, split writes and lock what they open.
/// </summary>
internal static unsafe class AttributeFile
{
    // A tree with a FIFO in it must not stop its reader for ever.
    private const int Flags = Libc.O_CLOEXEC | Libc.O_NOCTTY | Libc.O_NONBLOCK;

    /// <summary>The file from its beginning, at most <paramref name="limit"/> bytes.</summary>
    internal static AttributeResult Read(string path, int limit)
    {
        using var file = Open(path, Libc.O_RDONLY, out int refused);
        if (file is null) return new(AttributeStep.Open, refused, []);
        byte[] content = new byte[limit];
        int length = 0;
        // SAFETY: the array is pinned during the calls, and each is given what is left of it.
        fixed (byte* first = content)
        {
            while (length < limit)
            {
                nint got = Libc.read(file, first + length, (nuint)(limit - length));
                if (got == 0) break;
                if (got > 0) length += (int)got;
                else if (Marshal.GetLastPInvokeError() is var errno and not Libc.EINTR)
                    return new(AttributeStep.Transfer, errno, []);
            }
        }
        return new(AttributeStep.Transfer, 0, content[..length]);
    }

    /// <summary>One write(2) of all of it, as a shell's echo would do; repeated only where a signal came before the driver.</summary>
    /// <param name="written">bytes the driver says it took.</param>
    internal static AttributeResult Write(string path, ReadOnlySpan<byte> content, out int written)
    {
        written = 0;
        using var file = Open(path, Libc.O_WRONLY, out int refused);
        if (file is null) return new(AttributeStep.Open, refused, []);
        // SAFETY: the span is pinned during the call.
        fixed (byte* first = content)
        {
            while (true)
            {
                nint took = Libc.write(file, first, (nuint)content.Length);
                int errno = took < 0 ? Marshal.GetLastPInvokeError() : 0;
                if (errno == Libc.EINTR) continue;
                written = (int)Math.Max(took, 0);
                return new(AttributeStep.Transfer, errno, []);
            }
        }
    }

    /// <summary>Where a symbolic link points to, as it is written there.</summary>
    internal static AttributeResult ReadLink(string path)
    {
        const int MaxPath = 4096;
        byte* target = stackalloc byte[MaxPath];
        // SAFETY: the buffer is on this frame and its size is given; readlink adds no NUL.
        nint length = Libc.readlink(path, target, MaxPath);
        return length < 0
            ? new(AttributeStep.Open, Marshal.GetLastPInvokeError(), [])
            : new(AttributeStep.Transfer, 0, new ReadOnlySpan<byte>(target, (int)length).ToArray());
    }

    private static SafeFileHandle? Open(string path, int access, out int errno)
    {
        while (true)
        {
            // SAFETY: a new descriptor, owned by the handle from here on.
            int descriptor = Libc.open(path, access | Flags);
            errno = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (descriptor >= 0) return new SafeFileHandle(descriptor, ownsHandle: true);
            if (errno != Libc.EINTR) return null;
        }
    }
}
