using System.Diagnostics;
using MigrationCluster.DataPlane;
using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Transfers;

/// <summary>
/// One device of one guest, on one side of one migration. It speaks to the device's endpoint and decides nothing. A
/// refusal is an answer; a lost connection fails the actor, which its supervisor hears of and which starts over by connecting anew
/// when it is next needed. State, logs and retained bytes live in the guest process, so nothing is lost with it.
/// </summary>
public sealed class DeviceActor(
    string name, GuestAddress address, DeviceName device, ISupervisor supervisor, TimeProvider time)
    : Actor<DeviceMessage>(name, supervisor, time, mailboxSize: 64)
{
    private EndpointClient? _client;
    private CancellationTokenRegistration _breaking;
    private StreamBuffer? _buffer;
    private ulong _sent;
    private (TransferSender Link, ulong Position)? _initialBytesEnded;

    public DeviceName Device => device;

    public long SentBytes => (long)Volatile.Read(ref _sent);

    /// <summary>Asks and waits for the reply that the message carries.</summary>
    public async Task<TReply> AskAsync<TReply>(
        Func<TaskCompletionSource<TReply>, CancellationToken, DeviceMessage> message, CancellationToken cancellationToken)
    {
        var reply = new TaskCompletionSource<TReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        await PostAsync(message(reply, cancellationToken), cancellationToken);
        return await reply.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Starts over: the next message connects anew.</summary>
    protected override async ValueTask RecoverAsync(CancellationToken cancellationToken) => await DisconnectAsync();

    protected override async ValueTask StoppedAsync() => await DisconnectAsync();

    protected override async ValueTask HandleAsync(DeviceMessage message, CancellationToken cancellationToken)
    {
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, message.Cancel);
        try
        {
            linked.Token.ThrowIfCancellationRequested();
            await ActAsync(_client ?? await ConnectAsync(linked.Token), message, linked.Token);
        }
        catch (Exception error) when (error is OperationCanceledException || cancellationToken.IsCancellationRequested)
        {
            message.Fail(error);
        }
        catch (Exception error) when (error is DeviceRefusedException or TransferFailedException)
        {
            message.Fail(error);
        }
        catch (Exception error)
        {
            message.Fail(error);
            throw;
        }
    }

    private async ValueTask ActAsync(EndpointClient client, DeviceMessage message, CancellationToken cancel)
    {
        switch (message)
        {
            case DeviceMessage.Probe m:
                var capabilities = await client.ProbeMigrationAsync(cancel);
                m.Reply.TrySetResult(new PlannedDevice(device, capabilities, SessionDevices.NoGroup, await client.GetStateAsync(cancel)));
                break;
            case DeviceMessage.Move m:
                await client.SetStateAsync(m.Target, cancel);
                m.Reply.TrySetResult(m.Target);
                break;
            case DeviceMessage.ReadState m:
                m.Reply.TrySetResult(await client.GetStateAsync(cancel));
                break;
            case DeviceMessage.ReadSetup m:
                m.Reply.TrySetResult(await client.GetSetupRecordAsync(cancel));
                break;
            case DeviceMessage.CheckSetup m:
                m.Reply.TrySetResult(await client.CheckSetupAsync(m.Record, cancel));
                break;
            case DeviceMessage.StartDirtyLog m:
                await client.StartDirtyLogAsync(GuestMemoryLayout.PageSizeBytes, cancel);
                m.Reply.TrySetResult(true);
                break;
            case DeviceMessage.ReadDirty m:
                m.Reply.TrySetResult(await client.ReadDirtyAsync(m.Pages, cancel));
                break;
            case DeviceMessage.AckDirty m:
                await client.AckDirtyAsync(m.Sequence, cancel);
                m.Reply.TrySetResult(true);
                break;
            case DeviceMessage.SendStream m:
                m.Reply.TrySetResult(await SendStreamAsync(client, m, cancel));
                break;
            case DeviceMessage.ReadRemaining m:
                m.Reply.TrySetResult(await client.GetPreCopyBytesAsync(cancel));
                break;
            case DeviceMessage.LoadChunk m:
                await client.WriteStreamAsync(m.Offset, m.Data, cancel);
                m.Reply.TrySetResult(true);
                break;
            case DeviceMessage.ReadStreamDigest m:
                m.Reply.TrySetResult(await client.GetStreamDigestAsync(cancel));
                break;
            case DeviceMessage.ReadContentDigest m:
                m.Reply.TrySetResult(await ReadContentDigestAsync(client, cancel));
                break;
            default:
                throw new InvalidOperationException($"unknown message {message.GetType().Name}");
        }
    }

    /// <summary>Goes on where the link stands: what the destination has not accepted is read again from what is retained.</summary>
    private async Task<StreamSent> SendStreamAsync(EndpointClient client, DeviceMessage.SendStream m, CancellationToken cancel)
    {
        ulong start = _sent = m.Sender.DevicePosition(m.Index);
        long began = Stopwatch.GetTimestamp();
        await using (var reading = new StreamReading(client, start, _buffer ??= StreamBuffer.Create(StreamReading.BufferBytes), cancel))
        {
            while (await reading.NextAsync() is { Data.IsEmpty: false } chunk)
            {
                await m.Sender.SendDeviceAsync(m.Index, chunk.Offset, chunk.Data, cancel);
                Volatile.Write(ref _sent, chunk.Offset + (ulong)chunk.Data.Length);
                await reading.ReleaseAsync(m.Sender.AckedDeviceBytes(m.Index));
            }
        }

        long sent = Stopwatch.GetTimestamp();
        if (m.Final)
        {
            var digest = await client.GetStreamDigestAsync(cancel);
            await m.Sender.EndDeviceAsync(m.Index, digest.Bytes, digest.Crc32C, cancel);
        }
        else if (_initialBytesEnded != (m.Sender, _sent))
        {
            // Whether initial bytes were among what was just sent cannot be known: a device may have some again at any time. So
            // the destination acknowledges whatever a pass ends with.
            await m.Sender.EndInitialBytesAsync(m.Index, cancel);
            _initialBytesEnded = (m.Sender, _sent);
        }

        return new StreamSent((long)(_sent - start), Stopwatch.GetElapsedTime(began, sent), Stopwatch.GetElapsedTime(sent));
    }

    private static async Task<string> ReadContentDigestAsync(EndpointClient client, CancellationToken cancel)
    {
        if (await client.GetContentDigestAsync(cancel) is { } content) return $"{content:x16}";
        var stream = await client.GetStreamDigestAsync(cancel);
        return $"{stream.Bytes}-{stream.Crc32C:x8}";
    }

    /// <summary>A device that hangs is waited for while its answer matters, and not by an actor that stops.</summary>
    private async ValueTask<EndpointClient> ConnectAsync(CancellationToken cancel)
    {
        var client = _client = await address.OpenAsync(device, cancel);
        _breaking = Stopping.UnsafeRegister(static client => ((EndpointClient)client!).Break(), client);
        return client;
    }

    private async ValueTask DisconnectAsync()
    {
        if (_client is not { } client) return;
        _client = null;
        await _breaking.DisposeAsync();
        await client.DisposeAsync();
    }
}
