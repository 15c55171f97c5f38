using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Guests;

/// <summary>A guest process of this host, launched by this daemon or adopted from an earlier one.</summary>
public sealed class HostedGuest
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal HostedGuest(LaunchSpec spec, string directory, GuestTask process) =>
        (Spec, Directory, Process) = (spec, directory, process);

    public GuestName Name => new(Spec.Guest);

    /// <summary>What it was launched with; its fence and role may have moved on since.</summary>
    public LaunchSpec Spec { get; }

    public string Directory { get; }

    public GuestTask Process { get; }

    /// <summary>Ends when the process and every one of its device servers are dead.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Socket of a device's endpoint, or of the machine's (<see cref="DeviceName.Machine"/>).</summary>
    public string Endpoint(DeviceName device) => Path.Combine(Directory, GuestFiles.Endpoint(device));

    internal void HasEnded() => _ended.TrySetResult();
}
