using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>
/// A device behind a vfio-user socket, of our own server or anybody's (docs/interop/vfio-user.rst in QEMU).
/// </summary>
/// <remarks>
/// Commands may overlap; replies come in the order of the commands. A server's DMA goes to the target of the window it
/// falls into. A command that is on its way is not abandoned on cancellation, because its reply would then be
/// lost; its time limit bounds it, and running out of that ends the connection.
/// </remarks>
public partial class VfioUserClient : IMigratableDevice, IDescribedDevice
{
    /// <summary>Most data one command carries; of a server that announces less, so much less. Each command of a state stream goes there and
    /// back through two processes: by 1 MiB, device state took a third more CPU.</summary>
    internal const int MaxTransferBytes = 2 << 20;

    /// <summary>Servers read a body with one plain recv: all of a request must fit the default socket buffer.</summary>
    private const int MaxPlainRequestBytes = 128 << 10;

    private readonly VfioUserClientOptions _options;
    private readonly Lock _windowLock = new();
    private readonly List<DmaWindow> _windows = [];
    private readonly Dictionary<int, RegionFile> _regionFiles = [];
    private MessageChannel? _main;
    private MessageChannel? _twin;
    private int _logPageSizeBytes;

    private protected VfioUserClient(string path, VfioUserClientOptions? options)
    {
        SocketPath = UnixSocketPath.Check(path);
        _options = options ?? VfioUserClientOptions.Default;
    }

    public string SocketPath { get; }

    public DeviceShape Shape { get; private set; } = new(false, [], []);

    /// <summary>What the server said of itself.</summary>
    public VersionCapabilities Server { get; private set; } = new();

    public bool HasTwinSocket => _twin is not null;

    /// <summary>Completes with the reason once the connection is lost or closed: how the death of a server shows.</summary>
    public Task<string> Closed => Main.Closed;

    private MessageChannel Main => _main ?? throw new InvalidOperationException($"{SocketPath} is not connected");

    /// <summary>Whether both sides speak our extension.</summary>
    public bool SpeaksExtension => Server.Extension?.Version == ExtensionOffer.CurrentVersion;

    private protected int MaxReadBytes => Math.Min(MaxTransferBytes, Server.MaxDataTransferBytes);

    private protected int MaxWriteBytes => Math.Min(
        SpeaksExtension ? MaxTransferBytes : MaxPlainRequestBytes - VfioUserHeader.Size - RegionAccess.Size,
        Server.MaxDataTransferBytes);

    /// <exception cref="ArgumentException">the path is too long for a UNIX socket.</exception>
    /// <exception cref="DeviceLostException">nobody listens there, or no answer in time.</exception>
    /// <exception cref="DeviceRefusedException">the server does not speak this version.</exception>
    public static Task<VfioUserClient> ConnectAsync(
        string path, VfioUserClientOptions? options = null, CancellationToken cancellationToken = default) =>
        OpenAsync(new VfioUserClient(path, options), ServedKind.Device, cancellationToken);

    /// <summary>The file behind a mappable region, for reading holes (SEEK_DATA) or mapping parts.</summary>
    /// <exception cref="DeviceRefusedException">the server lets nobody map it.</exception>
    public RegionFile GetRegionFile(int region) =>
        _regionFiles.GetValueOrDefault(region)
        ?? throw new DeviceRefusedException($"{SocketPath}: region {region} is not mappable", Errno.EINVAL);

    /// <summary>Maps a whole region; the mapping outlives the connection.</summary>
    /// <exception cref="DeviceRefusedException">the server lets nobody map it, or not all of it.</exception>
    public MappedMemory MapRegion(int region)
    {
        var file = GetRegionFile(region);
        ulong size = Shape.Regions.First(shape => shape.Index == region).SizeBytes;
        return file.Areas is [{ Offset: 0 } area] && area.SizeBytes == size
            ? MappedMemory.Map(file.File, file.Offset, (long)size)
            : throw new DeviceRefusedException($"{SocketPath}: region {region} is only mappable in parts", Errno.EINVAL);
    }

    /// <summary>Breaks the connection at once: commands on their way end as lost, and none is waited for. To be disposed as ever.</summary>
    public void Break()
    {
        _main?.Break("closed on this side");
        _twin?.Break("closed on this side");
    }

    public async ValueTask DisposeAsync()
    {
        if (_main is not null) await _main.DisposeAsync();
        if (_twin is not null) await _twin.DisposeAsync();
        foreach (var file in _regionFiles.Values) file.File.Dispose();
        _regionFiles.Clear();
        GC.SuppressFinalize(this);
    }

    private protected static async Task<T> OpenAsync<T>(T client, ServedKind needed, CancellationToken cancellationToken)
        where T : VfioUserClient
    {
        try
        {
            await client.OpenAsync(needed, cancellationToken);
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    private async Task OpenAsync(ServedKind needed, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), cancellationToken);
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (e is SocketException) throw new DeviceLostException($"cannot connect to {SocketPath}: {e.Message}", e);
            throw;
        }
        _main = NewChannel(socket, SocketPath);
        _main.Start();
        await NegotiateAsync(needed, cancellationToken);
        await ReadShapeAsync(cancellationToken);
    }

    private MessageChannel NewChannel(Socket socket, string name)
    {
        MessageChannel? channel = null;
        channel = new MessageChannel(
            socket, name, DmaAccess.Size + MaxTransferBytes, command => AnswerAsync(channel!, command));
        return channel;
    }

    /// <summary>Sends a command and keeps all of its reply's body.</summary>
    private protected async ValueTask<byte[]> FetchAsync(
        ExtensionCommand command, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        (await AskAsync((ushort)command, request, default, default, default, cancellationToken, keepRest: true)).Rest;

    /// <summary>Sends a command and turns an error reply into an exception.</summary>
    private protected async ValueTask<Reply> AskAsync(
        ushort command, ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> data, Memory<byte> replyHead,
        Memory<byte> replyData, CancellationToken cancellationToken, bool keepRest = false, TimeSpan? limit = null,
        IReadOnlyList<SafeFileHandle>? files = null)
    {
        var reply = await Main.CallAsync(
            command, head, data, files ?? [], replyHead, replyData, keepRest, limit ?? _options.CommandLimit,
            cancellationToken);
        if (reply.IsError)
        {
            DisposeAll(reply.Files);
            throw Refusal(command, reply);
        }
        if (reply.HeadBytes == replyHead.Length) return reply;
        DisposeAll(reply.Files);
        throw Broken($"a reply to {NameOf(command)} of only {reply.HeadBytes} bytes");
    }

    private DeviceRefusedException Refusal(ushort command, Reply reply)
    {
        string text = SpeaksExtension ? Encoding.UTF8.GetString(reply.Rest) : "";
        if (text.Length == 0) text = $"{SocketPath}: {NameOf(command)} refused with {Errno.Name(reply.Errno)}";
        return new DeviceRefusedException(text, reply.Errno);
    }

    /// <summary>A server that answers nonsense is not spoken to any more.</summary>
    private protected DeviceLostException Broken(string what)
    {
        Main.Break(what);
        return new DeviceLostException($"{SocketPath}: {what}");
    }

    private static void DisposeAll(IEnumerable<SafeFileHandle> files)
    {
        foreach (var file in files) file.Dispose();
    }

    private static string NameOf(ushort command) =>
        Enum.IsDefined((VfioUserCommand)command) ? ((VfioUserCommand)command).ToString()
        : ((ExtensionCommand)command).ToString();
}
