using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>sendmsg and recvmsg with descriptors (SCM_RIGHTS), which .NET sockets lack. Never block.</summary>
internal static unsafe class DescriptorSocket
{
    /// <summary>Descriptors accepted with one message; more are closed by the kernel and the message is refused.</summary>
    internal const int MaxDescriptors = 64;

    private const int ControlHeadSize = 16;
    private const int ControlSize = ControlHeadSize + MaxDescriptors * sizeof(int);

    /// <summary>Sends the beginning of head and data, and all descriptors with the first byte.</summary>
    /// <returns>bytes taken; -1: the buffer is full, nothing was sent.</returns>
    internal static int TrySend(
        Socket socket, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data, IReadOnlyList<SafeFileHandle> files)
    {
        if (files.Count > MaxDescriptors) throw new ArgumentException($"{files.Count} descriptors in one message");
        byte* control = stackalloc byte[ControlSize];
        var vectors = stackalloc Libc.IoVector[2];
        int held = 0;
        try
        {
            for (; held < files.Count; held++)
            {
                bool added = false;
                files[held].DangerousAddRef(ref added);
                ((int*)(control + ControlHeadSize))[held] = (int)files[held].DangerousGetHandle();
            }
            // SAFETY: both spans are pinned during the call; the control block holds MaxDescriptors; every descriptor in
            // it is referenced until the finally, and the kernel duplicates it before the call returns.
            fixed (byte* headPointer = head, dataPointer = data)
            {
                vectors[0] = new Libc.IoVector { Base = headPointer, Length = (nuint)head.Length };
                vectors[1] = new Libc.IoVector { Base = dataPointer, Length = (nuint)data.Length };
                var message = new Libc.MessageHead { Vectors = vectors, VectorCount = data.IsEmpty ? 1u : 2u };
                if (held > 0)
                {
                    nuint length = (nuint)(ControlHeadSize + held * sizeof(int));
                    *(Libc.ControlHead*)control = new Libc.ControlHead
                    {
                        Length = length,
                        Level = Libc.SOL_SOCKET,
                        Type = Libc.SCM_RIGHTS,
                    };
                    message.Control = control;
                    // The kernel walks whole aligned control messages.
                    message.ControlLength = (length + 7) & ~(nuint)7;
                }
                while (true)
                {
                    nint sent = Libc.sendmsg(socket.SafeHandle, &message, Libc.MSG_DONTWAIT | Libc.MSG_NOSIGNAL);
                    if (sent >= 0) return (int)sent;
                    int errno = Marshal.GetLastPInvokeError();
                    if (errno == Libc.EAGAIN) return -1;
                    if (errno != Libc.EINTR) throw Libc.Failure("sendmsg");
                }
            }
        }
        finally
        {
            while (held > 0) files[--held].DangerousRelease();
        }
    }

    /// <summary>Receives what is there, up to the buffer, and adds the descriptors that came with it.</summary>
    /// <returns>bytes; 0: the peer closed; -1: nothing is there yet.</returns>
    /// <exception cref="IOException">the connection broke, or a message carried too many descriptors.</exception>
    internal static int TryReceive(Socket socket, Span<byte> buffer, List<SafeFileHandle> files)
    {
        byte* control = stackalloc byte[ControlSize];
        // SAFETY: the buffer is pinned during the call and the control block is on this stack frame; descriptors that
        // arrive belong to this process alone and are wrapped once.
        fixed (byte* pointer = buffer)
        {
            var vector = new Libc.IoVector { Base = pointer, Length = (nuint)buffer.Length };
            var message = new Libc.MessageHead
            {
                Vectors = &vector,
                VectorCount = 1,
                Control = control,
                ControlLength = ControlSize,
            };
            nint received;
            while ((received = Libc.recvmsg(
                socket.SafeHandle, &message, Libc.MSG_DONTWAIT | Libc.MSG_CMSG_CLOEXEC)) < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno == Libc.EAGAIN) return -1;
                if (errno != Libc.EINTR) throw Libc.Failure("recvmsg");
            }
            TakeDescriptors(control, message.ControlLength, files);
            return (message.Flags & Libc.MSG_CTRUNC) == 0
                ? (int)received
                : throw new IOException($"a message carried more than {MaxDescriptors} descriptors");
        }
    }

    /// <summary>Blocks until the socket takes bytes again. Only for messages with descriptors that met a full
    /// buffer, which is rare; everything else waits without a thread.</summary>
    /// <returns>false: not within the limit.</returns>
    internal static bool WaitWritable(Socket socket, TimeSpan limit) =>
        socket.Poll(limit, SelectMode.SelectWrite);

    /// <summary>A connected pair: one end to use here, the other to give away.</summary>
    internal static (Socket Mine, SafeFileHandle Theirs) CreatePair()
    {
        int* pair = stackalloc int[2];
        // SAFETY: two ints on the stack, written during the call only; each descriptor gets exactly one owner.
        if (Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0, pair) != 0)
            throw Libc.Failure("socketpair");
        return (new Socket(new SafeSocketHandle(pair[0], ownsHandle: true)), new SafeFileHandle(pair[1], ownsHandle: true));
    }

    /// <summary>Turns a received descriptor into a socket, which takes it over.</summary>
    internal static Socket Adopt(SafeFileHandle file)
    {
        var socket = new Socket(new SafeSocketHandle(file.DangerousGetHandle(), ownsHandle: true));
        file.SetHandleAsInvalid();
        return socket;
    }

    private static void TakeDescriptors(byte* control, nuint length, List<SafeFileHandle> files)
    {
        nuint at = 0;
        while (at + ControlHeadSize <= length)
        {
            // SAFETY: the kernel wrote whole control messages into these `length` bytes.
            var head = *(Libc.ControlHead*)(control + at);
            if (head.Length < ControlHeadSize || head.Length > length - at) return;
            if (head.Level == Libc.SOL_SOCKET && head.Type == Libc.SCM_RIGHTS)
                for (nuint i = ControlHeadSize; i + sizeof(int) <= head.Length; i += sizeof(int))
                    files.Add(new SafeFileHandle(*(int*)(control + at + i), ownsHandle: true));
            at += (head.Length + 7) & ~(nuint)7;
        }
    }
}
