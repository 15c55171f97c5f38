using MigrationCluster.Api;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Transfers;

/// <summary>One guest's process on this host, as a migration session uses it.</summary>
public sealed class SessionGuest(GuestName guest, GuestHost host, DataDirectory data, TimeProvider time)
{
    public GuestName Name => guest;

    /// <summary>Where its files and sockets are, whether or not it lives.</summary>
    public string Directory => data.Guest(guest);

    public bool IsAlive => host.Find(guest) is not null;

    /// <summary>What the process here was launched with.</summary>
    /// <exception cref="IOException">no process of it lives here.</exception>
    public LaunchSpec Spec => host.Find(guest)?.Spec ?? throw new IOException($"no process of {guest} lives here");

    /// <summary>Completes when the guest process and all its device servers here have died; at once if none lives.</summary>
    public Task WatchDeathAsync(CancellationToken cancellationToken) =>
        host.Find(guest)?.Ended.WaitAsync(cancellationToken) ?? Task.CompletedTask;

    /// <summary>Completes with the first device server here that has died while its guest process lives; never without such a one.</summary>
    public async Task<DeviceServer> WatchDevicesAsync(CancellationToken cancellationToken)
    {
        if (host.Find(guest) is { } hosted) return await DeviceServers.UntilOneDiesAsync(hosted.Directory, hosted.Process, time, cancellationToken);
        await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
        throw new OperationCanceledException(cancellationToken);
    }

    /// <exception cref="LaunchRefusedException">the spec does not fit this host, or the process did not come up.</exception>
    public async Task LaunchIncomingAsync(
        string specJson, IReadOnlyList<DeviceConfiguration>? configuration, Fence fence, LaunchOwner owner, CancellationToken cancellationToken)
    {
        var answer = await host.LaunchAsync(specJson, fence, incoming: true, cancellationToken, configuration, owner);
        if (answer.Refusal is { } refusal) throw new LaunchRefusedException(refusal.Error);
    }

    /// <inheritdoc cref="GuestHost.KillAsync(GuestName, Fence, bool, CancellationToken)"/>
    public Task<string?> KillAsync(Fence fence, bool incomingOnly, CancellationToken cancellationToken) =>
        host.KillAsync(guest, fence, incomingOnly, cancellationToken);
}

/// <summary>This host did not launch the guest process.</summary>
public sealed class LaunchRefusedException(ApiError error) : IOException(error.Message)
{
    public ApiError Error { get; } = error;
}
