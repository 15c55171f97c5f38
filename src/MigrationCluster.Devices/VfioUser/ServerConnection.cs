using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Faults;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>
/// One client of a server: opening, admission and error replies; what the commands do is in the other parts.
///
/// <code>
///   command --> VERSION said? --> exclusive? then: gate --> fence still the newest? --> device --> reply
/// </code>
/// Commands of one client run one at a time, in order. Those of several clients meet at the gate, but for regions and
/// queries, which a device takes at any time.
/// </summary>
internal sealed partial class ServerConnection : IAsyncDisposable
{
    private const int MaxTransferBytes = VfioUserClient.MaxTransferBytes;

    /// <summary>A full transfer with the longest head before it.</summary>
    private const int MaxBodyBytes = MaxTransferBytes + 4096;

    private const int MaxMessageFds = 16;
    private static readonly TimeSpan DmaLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TurnLimit = TimeSpan.FromSeconds(5);

    private readonly ServedDevice _served;
    private readonly string _name;
    private readonly MessageChannel _main;
    private readonly CancellationTokenSource _gone = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private MessageChannel? _twin;
    private StreamBuffer? _streamBuffer;
    private ulong? _streamAt; // where the last READ_STREAM ended
    private VersionCapabilities? _client;
    private bool _holdsPlainSlot;
    private Fence? _fence;
    private byte[] _reply = new byte[4096];
    private int _replyLength;
    private List<SafeFileHandle> _replyFiles = [];

    public ServerConnection(Socket socket, string name, ServedDevice served)
    {
        _served = served;
        _name = name;
        _main = new MessageChannel(socket, name, MaxBodyBytes, HandleAsync);
    }

    /// <summary>Completes once the client has gone and its windows and interrupts are cleared away.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Whether this client speaks our extension, and so gets reasons with errors.</summary>
    private bool SpeaksExtension => _served.OffersExtension && _client?.Extension?.Version == ExtensionOffer.CurrentVersion;

    /// <summary>Ends the conversation and waits for <see cref="Ended"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        _main.Break("the server shuts down");
        await Ended;
    }

    public async Task RunAsync()
    {
        _main.Start();
        await _main.Closed;
        await _gone.CancelAsync();
        // The device may be waiting for this client's answer to a DMA message: end that first.
        if (_twin is not null) await _twin.DisposeAsync();
        await _main.DisposeAsync();
        try
        {
            if (_holdsPlainSlot) await ClearAwayAsync();
        }
        catch (Exception e)
        {
            _served.ReportFault(e);
        }
        if (_holdsPlainSlot) _served.PlainSlot.Release();
        _gone.Dispose();
        _ended.TrySetResult();
    }

    private async ValueTask HandleAsync(IncomingCommand command)
    {
        var header = command.Header;
        _replyLength = 0;
        int errno = 0;
        string reason = "";
        try
        {
            if (command.TooLong) throw Refuse(Errno.EINVAL, $"a message of {header.SizeBytes} bytes is too long");
            await AdmitAsync(command);
        }
        catch (DeviceRefusedException e)
        {
            (errno, reason) = (e.Errno, e.Message);
        }
        catch (DeviceLostException e)
        {
            (errno, reason) = (Errno.ENODEV, e.Message);
        }
        catch (ArgumentException e)
        {
            (errno, reason) = (Errno.EINVAL, e.Message);
        }
        catch (OperationCanceledException) when (_gone.IsCancellationRequested)
        {
            // Nobody is left to be answered.
            return;
        }
        catch (Exception e)
        {
            (errno, reason) = (Errno.EIO, e.Message);
            _served.ReportFault(e);
        }
        await AnswerAsync(header, errno, reason);
    }

    private async ValueTask AnswerAsync(VfioUserHeader header, int errno, string reason)
    {
        try
        {
            if (!header.WantsReply) return;
            if (errno == 0)
            {
                await _main.ReplyAsync(header.Reply(_replyLength), _reply.AsMemory(0, _replyLength), _replyFiles);
                if (_served.Device is FaultyDevice { AnswersTwice: true })
                    await _main.ReplyAsync(header.Reply(_replyLength), _reply.AsMemory(0, _replyLength), []);
                return;
            }
            // The standard wants errors without a body; only clients of our extension know to read a reason there.
            byte[] text = SpeaksExtension ? Encoding.UTF8.GetBytes(reason) : [];
            if (text.Length > 2048) text = text[..2048];
            await _main.ReplyAsync(header.ErrorReply(errno, text.Length), text, []);
        }
        finally
        {
            if (_replyFiles.Count > 0) _replyFiles = [];
        }
    }

    private async ValueTask AdmitAsync(IncomingCommand command)
    {
        ushort number = command.Header.Command;
        if (number == (ushort)VfioUserCommand.Version)
        {
            await OpenAsync(command);
            return;
        }
        if (_client is null) throw Refuse(Errno.EINVAL, "VERSION comes first");
        if (!IsExclusive(number, command.Body.Span))
        {
            CheckFence();
            await ExecuteAsync(command);
            return;
        }
        await _served.Gate.WaitAsync();
        try
        {
            if (number != (ushort)ExtensionCommand.Bind)
            {
                CheckFence();
                if (_served.Endpoint is not null && _fence is null)
                    throw Refuse(Errno.EPERM, "this session is not bound to a guest and a fence");
            }
            await ExecuteAsync(command);
        }
        finally
        {
            _served.Gate.Release();
        }
    }

    /// <summary>Whether a command changes the device or moves its state. The others only ask, or touch a region.</summary>
    private static bool IsExclusive(ushort number, ReadOnlySpan<byte> body) => number switch
    {
        (ushort)VfioUserCommand.DeviceGetInfo or (ushort)VfioUserCommand.GetRegionInfo
            or (ushort)VfioUserCommand.GetIrqInfo or (ushort)VfioUserCommand.RegionRead
            or (ushort)VfioUserCommand.RegionWrite => false,
        (ushort)VfioUserCommand.DeviceFeature =>
            !FeatureHeader.TryRead(body, out var feature)
            || (feature.Flags & FeatureHeader.ProbeFlag) == 0
                && feature.Index is not FeatureIndex.Migration
                && !(feature.Index is FeatureIndex.DeviceState && (feature.Flags & FeatureHeader.SetFlag) == 0),
        (ushort)ExtensionCommand.GetSetupRecord or (ushort)ExtensionCommand.CheckSetup
            or (ushort)ExtensionCommand.GetStreamDigest or (ushort)ExtensionCommand.GetContentDigest
            or (ushort)ExtensionCommand.GetPreCopyBytes or (ushort)ExtensionCommand.GetMemoryLayout
            or (ushort)ExtensionCommand.Describe or (ushort)ExtensionCommand.CheckVersion
            or (ushort)ExtensionCommand.ReadFence => false,
        _ => true,
    };

    private void CheckFence()
    {
        if (_fence is { } fence && _served.Newest is { } newest && fence < newest)
            throw Refuse(Errno.EPERM, $"session {fence} was pre-empted by {newest}");
    }

    private async ValueTask OpenAsync(IncomingCommand command)
    {
        if (_client is not null) throw Refuse(Errno.EINVAL, "VERSION comes once");
        if (!VersionMessage.TryRead(command.Body.Span, out ushort minor, out var client, out string? reason))
            throw Refuse(Errno.EINVAL, reason!);
        bool sessions = _served.Endpoint is not null && client.Extension?.Version == ExtensionOffer.CurrentVersion;
        if (!sessions)
        {
            _holdsPlainSlot = await _served.PlainSlot.WaitAsync(TurnLimit, _gone.Token);
            if (!_holdsPlainSlot) throw Refuse(Errno.EBUSY, "another client has this device");
        }
        if (client.TwinSocket)
        {
            var (mine, theirs) = DescriptorSocket.CreatePair();
            _twin = new MessageChannel(mine, _name + " (twin)", 0, _ => throw new IOException("a client sends no commands here"));
            _twin.Start();
            _replyFiles = [theirs];
        }
        byte[] hello = VersionMessage.Write(Math.Min(minor, VersionMessage.Minor), new VersionCapabilities(
            MaxMessageFds, MaxTransferBytes, client.TwinSocket, client.TwinSocket ? 0 : null,
            Extension: client.Extension is null || !_served.OffersExtension ? null : new ExtensionOffer(ExtensionOffer.CurrentVersion, _served.Kind)));
        hello.CopyTo(Body(hello.Length));
        _client = client;
    }

    /// <summary>A plain client's windows and interrupts go with it, as far as the device's state allows; what the state
    /// keeps is replaced when the next client maps it again.</summary>
    private async Task ClearAwayAsync()
    {
        await _served.Gate.WaitAsync();
        try
        {
            var state = await _served.Device.GetStateAsync(CancellationToken.None);
            if (AllowedActions.Allows(BackEnd.VfioUser, state, DeviceAction.DmaMap))
                foreach (var window in _served.Windows.Where(window => window.Owner == this).ToArray())
                    await UnmapAsync(window.Start, window.SizeBytes);
            if (AllowedActions.Allows(BackEnd.VfioUser, state, DeviceAction.InterruptSetup))
                foreach (int index in _served.Interrupts.Keys.ToArray()) await UnbindInterruptsAsync(index);
        }
        finally
        {
            _served.Gate.Release();
        }
    }

    /// <summary>The reply's body, of this length, to be filled in.</summary>
    private Span<byte> Body(int length)
    {
        Reserve(length);
        _replyLength = length;
        return _reply.AsSpan(0, length);
    }

    private void Reserve(int length)
    {
        if (_reply.Length < length) _reply = new byte[Math.Max(length, _reply.Length * 2)];
    }

    /// <summary>For devices served elsewhere too, the table is the back end's; the device may refuse more.</summary>
    private async ValueTask RequireAsync(DeviceAction action)
    {
        var state = await _served.Device.GetStateAsync(CancellationToken.None);
        if (AllowedActions.Refusal(BackEnd.VfioUser, "the device", state, action) is { } refusal) throw Refuse(Errno.EINVAL, refusal);
    }

    private static DeviceRefusedException Refuse(int errno, string reason) => new(reason, errno);
}
