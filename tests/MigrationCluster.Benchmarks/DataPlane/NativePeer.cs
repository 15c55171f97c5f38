using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>The sender, receiver and zero scan in C (Native/peer.c), compiled on the spot for this CPU and loaded into this process.</summary>
internal sealed unsafe class NativePeer : IDisposable
{
    private readonly nint _library;
    private readonly delegate* unmanaged<int, nint> _open;
    private readonly delegate* unmanaged<nint, byte*, byte*, nuint, int, int> _copy;
    private readonly delegate* unmanaged<byte*, long, long> _countZeroPages;
    private readonly delegate* unmanaged<nint, void> _close;

    private NativePeer(string path)
    {
        _library = NativeLibrary.Load(path);
        // SAFETY: the signatures are those of Native/peer.c, which was compiled a moment ago.
        _open = (delegate* unmanaged<int, nint>)NativeLibrary.GetExport(_library, "peer_open");
        _copy = (delegate* unmanaged<nint, byte*, byte*, nuint, int, int>)NativeLibrary.GetExport(_library, "peer_copy");
        _countZeroPages = (delegate* unmanaged<byte*, long, long>)NativeLibrary.GetExport(_library, "peer_count_zero_pages");
        _close = (delegate* unmanaged<nint, void>)NativeLibrary.GetExport(_library, "peer_close");
        var check = (delegate* unmanaged<byte*>)NativeLibrary.GetExport(_library, "peer_check");
        Check = Marshal.PtrToStringUTF8((nint)check())!;
    }

    /// <summary>How it computes its check.</summary>
    internal string Check { get; }

    /// <returns>null, and why, when this machine cannot compile it.</returns>
    internal static NativePeer? TryBuild(out string? why)
    {
        string library = Path.Combine(Path.GetTempPath(), $"mcb-peer-{Environment.ProcessId}.so");
        var start = new ProcessStartInfo("gcc") { RedirectStandardError = true };
        foreach (string argument in new[]
        {
            "-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-o", library,
            Path.Combine(AppContext.BaseDirectory, "DataPlane", "Native", "peer.c"),
        })
            start.ArgumentList.Add(argument);
        try
        {
            using var gcc = Process.Start(start)!;
            string errors = gcc.StandardError.ReadToEnd();
            gcc.WaitForExit();
            why = gcc.ExitCode == 0 ? null : $"gcc: {errors.Trim()}";
            return why is null ? new NativePeer(library) : null;
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            why = $"gcc: {exception.Message}";
            return null;
        }
        finally
        {
            File.Delete(library);
        }
    }

    internal Connections Connect(int count)
    {
        nint peer = _open(count);
        return peer != 0 ? new Connections(this, peer) : throw new IOException("the C peer cannot connect over loopback");
    }

    internal long CountZeroPages(ReadOnlySpan<byte> memory)
    {
        fixed (byte* at = memory) return _countZeroPages(at, memory.Length / 4096);
    }

    public void Dispose() => NativeLibrary.Free(_library);

    /// <summary>Connected sockets; their threads are started for each copy.</summary>
    internal sealed class Connections(NativePeer native, nint peer) : IDisposable
    {
        /// <param name="check">compute and compare our check, with our copies.</param>
        internal Task CopyAsync(BenchRam source, BenchRam destination, bool check) => Task.Run(() =>
        {
            fixed (byte* from = source.GetSpan(), to = destination.GetSpan())
            {
                if (native._copy(peer, from, to, (nuint)source.GetSpan().Length, check ? 1 : 0) != 0)
                    throw new IOException("the C peer's connection ended, or a page did not match");
            }
        });

        public void Dispose() => native._close(peer);
    }
}
