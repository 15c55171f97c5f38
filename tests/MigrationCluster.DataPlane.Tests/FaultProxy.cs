using System.Net;
using System.Net.Sockets;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>
/// Stands between source and destination. What the source sends on each connection (numbered in order of connecting) goes
/// through a hook that may change it, hold it, or cut the connection; what the destination sends through another, if there is one.
/// </summary>
internal sealed class FaultProxy : IAsyncDisposable
{
    /// <param name="connection">number of the connection.</param>
    /// <param name="position">bytes of it that have passed before, in this direction.</param>
    /// <returns>how many of the bytes to pass on; fewer than all cuts the connection there.</returns>
    internal delegate ValueTask<int> Hook(int connection, long position, Memory<byte> bytes);

    private readonly Socket _listening = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _running;

    internal FaultProxy(IPEndPoint destination, Hook hook, Hook? back = null)
    {
        _listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listening.Listen();
        EndPoint = (IPEndPoint)_listening.LocalEndPoint!;
        _running = RunAsync(destination, hook, back ?? ((_, _, bytes) => ValueTask.FromResult(bytes.Length)));
    }

    internal IPEndPoint EndPoint { get; }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _running;
        _listening.Dispose();
        _stopping.Dispose();
    }

    private async Task RunAsync(IPEndPoint destination, Hook hook, Hook back)
    {
        var relays = new List<Task>();
        try
        {
            for (int number = 0; ; number++)
            {
                var near = await _listening.AcceptAsync(_stopping.Token);
                var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                near.NoDelay = true;
                await far.ConnectAsync(destination, _stopping.Token);
                relays.Add(RelayAsync(number, near, far, hook, backHook: back));
            }
        }
        catch (OperationCanceledException)
        {
        }
        await Task.WhenAll(relays);
    }

    private async Task RelayAsync(int number, Socket near, Socket far, Hook hook, Hook backHook)
    {
        using (near)
        using (far)
        {
            var back = PumpAsync(far, near, (position, bytes) => backHook(number, position, bytes));
            var there = PumpAsync(near, far, (position, bytes) => hook(number, position, bytes));
            // A cut ends both directions at once; a peer that closed may have said why, and that must still get through.
            if (await there)
            {
                near.Dispose();
                far.Dispose();
            }
            await back;
        }
    }

    /// <returns>true when the connection was cut.</returns>
    private async Task<bool> PumpAsync(Socket from, Socket to, Func<long, Memory<byte>, ValueTask<int>> hook)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            for (long position = 0; ;)
            {
                int count = await from.ReceiveAsync(buffer, _stopping.Token);
                if (count == 0) break;
                int pass = await hook(position, buffer.AsMemory(0, count));
                for (int sent = 0; sent < pass;) sent += await to.SendAsync(buffer.AsMemory(sent, pass - sent), _stopping.Token);
                if (pass < count) return true;
                position += count;
            }
        }
        catch (OperationCanceledException)
        {
            return true;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // One of the two has closed; the other learns it as an end of its input.
        }
        try
        {
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Gone as well.
        }
        return false;
    }
}
