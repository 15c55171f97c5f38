using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>
/// The same memory over SslStream, TLS 1.3, in chunks of 256 KiB straight from mapping to mapping: what encrypting with the
/// platform's own stream would give.
/// </summary>
internal sealed class TlsCopy : IDisposable
{
    private const int ChunkBytes = 256 * 1024;

    private readonly (SslStream Near, SslStream Far)[] _streams;

    private TlsCopy((SslStream, SslStream)[] streams) => _streams = streams;

    internal static async Task<TlsCopy> ConnectAsync(int connections, CancellationToken cancellationToken)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=bench", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        var streams = new (SslStream, SslStream)[connections];
        for (int i = 0; i < connections; i++)
        {
            var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await near.ConnectAsync(listening.LocalEndPoint!, cancellationToken);
            var far = await listening.AcceptAsync(cancellationToken);
            far.NoDelay = true;
            var client = new SslStream(new NetworkStream(near, ownsSocket: true));
            var server = new SslStream(new NetworkStream(far, ownsSocket: true));
            await Task.WhenAll(
                client.AuthenticateAsClientAsync(
                    new SslClientAuthenticationOptions
                    {
                        TargetHost = "bench",
                        EnabledSslProtocols = SslProtocols.Tls13,
                        RemoteCertificateValidationCallback = (_, presented, _, _) =>
                            presented!.GetCertHashString() == certificate.GetCertHashString(),
                    },
                    cancellationToken),
                server.AuthenticateAsServerAsync(
                    new SslServerAuthenticationOptions { ServerCertificate = certificate, EnabledSslProtocols = SslProtocols.Tls13 },
                    cancellationToken));
            streams[i] = (client, server);
        }
        return new TlsCopy(streams);
    }

    internal async Task CopyAsync(ReadOnlyMemory<byte> source, Memory<byte> destination, CancellationToken cancellationToken)
    {
        int share = source.Length / _streams.Length / ChunkBytes * ChunkBytes;
        var running = new List<Task>();
        for (int i = 0; i < _streams.Length; i++)
        {
            var (near, far) = _streams[i];
            int start = i * share, length = i == _streams.Length - 1 ? source.Length - start : share;
            running.Add(Task.Run(() => SendAsync(near, source.Slice(start, length), cancellationToken), cancellationToken));
            running.Add(Task.Run(
                async () => await far.ReadExactlyAsync(destination.Slice(start, length), cancellationToken), cancellationToken));
        }
        await Task.WhenAll(running);
    }

    public void Dispose()
    {
        foreach (var (near, far) in _streams)
        {
            near.Dispose();
            far.Dispose();
        }
    }

    private static async Task SendAsync(SslStream stream, ReadOnlyMemory<byte> share, CancellationToken cancellationToken)
    {
        for (int at = 0; at < share.Length; at += ChunkBytes)
            await stream.WriteAsync(share.Slice(at, Math.Min(ChunkBytes, share.Length - at)), cancellationToken);
        await stream.FlushAsync(cancellationToken);
    }
}
