using System.Runtime.InteropServices;

namespace MigrationCluster.Devices.Native;

/// <summary>How far a call came: in sysfs no driver is asked before the file is open.</summary>
internal enum AttributeStep
{
    Open,
    Transfer,
}

/// <param name="Errno">0: it went well.</param>
internal readonly record struct AttributeResult(AttributeStep Step, int Errno, byte[] Content)
{
    internal const int ENOENT = 2;
    internal const int EINVAL = 22;

    internal bool Failed => Errno != 0;

    internal bool IsMissing => Step == AttributeStep.Open && Errno == ENOENT;

    /// <summary>The errno's symbol, e.g. EINVAL.</summary>
    internal string ErrnoName => NameOf(Errno);

    /// <summary>Symbol and text, e.g. EINVAL (Invalid argument).</summary>
    internal string ErrnoText => $"{ErrnoName} ({Marshal.GetPInvokeErrorMessage(Errno)})";

    private static unsafe string NameOf(int errno)
    {
        // SAFETY: a NUL-terminated string in static memory, or null.
        byte* name = Libc.strerrorname_np(errno);
        return name == null ? $"errno {errno}" : Marshal.PtrToStringUTF8((nint)name)!;
    }
}
