using System.Diagnostics;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>A gpu's device server without a guest process before it: what the first and the last hop cost alone.</summary>
internal sealed class DirectGpu : IAsyncDisposable
{
    private const int ChunkBytes = 1 << 20;
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);

    private readonly string _directory;
    private readonly Process _server;
    private readonly StreamBuffer _buffer = StreamBuffer.Create(ChunkBytes);
    private readonly VfioUserClient _client;

    private DirectGpu(string directory, Process server, VfioUserClient client) => (_directory, _server, _client) = (directory, server, client);

    internal TimeSpan CpuTime
    {
        get
        {
            _server.Refresh();
            return _server.TotalProcessorTime;
        }
    }

    /// <param name="stream">a state stream of such a gpu, which it takes on.</param>
    internal static async Task<DirectGpu> StartAsync(int memoryMiB, byte[] stream, CancellationToken cancellationToken)
    {
        string directory = Directory.CreateTempSubdirectory("mcb").FullName, socket = Path.Combine(directory, "gpu.sock");
        var start = new ProcessStartInfo(BenchGuest.Executable) { UseShellExecute = false, RedirectStandardInput = true };
        foreach (string argument in (string[])
            ["device", "--model", "gpu", "--param", $"memory-mib={memoryMiB}", "--param", "dirty-rate=0", "--socket", socket, "--lifeline"])
            start.ArgumentList.Add(argument);
        var server = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(StartLimit);
        while (!File.Exists(socket)) await Task.Delay(10, limit.Token);
        var gpu = new DirectGpu(directory, server, await VfioUserClient.ConnectAsync(socket, cancellationToken: limit.Token));
        await gpu._client.SetStateAsync(DeviceState.Stop, cancellationToken);
        await gpu.MoveAsync(DeviceState.Resuming, cancellationToken);
        await gpu.WriteAsync(stream, cancellationToken);
        await gpu.MoveAsync(DeviceState.Stop, cancellationToken);
        return gpu;
    }

    internal Task MoveAsync(DeviceState state, CancellationToken cancellationToken) => _client.SetStateAsync(state, cancellationToken).AsTask();

    /// <summary>In StopCopy: reads the whole stream.</summary>
    internal async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (await _client.ReadDataAsync(_buffer.Memory, cancellationToken) > 0)
        {
        }
    }

    /// <summary>In Resuming: writes a whole stream.</summary>
    internal async Task WriteAsync(byte[] stream, CancellationToken cancellationToken)
    {
        for (int at = 0; at < stream.Length; at += ChunkBytes)
        {
            var part = _buffer.Memory[..Math.Min(ChunkBytes, stream.Length - at)];
            stream.AsSpan(at, part.Length).CopyTo(part.Span);
            await _client.WriteDataAsync(part, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        _server.StandardInput.Close(); // its lifeline
        await _server.WaitForExitAsync(CancellationToken.None);
        _server.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
