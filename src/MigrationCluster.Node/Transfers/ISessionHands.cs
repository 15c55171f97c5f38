using MigrationCluster.Api;
using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Node.Transfers;

/// <summary>What sessions act with on this host: guest processes and connections between hosts.</summary>
public interface ISessionHands
{
    /// <param name="name">of the session, for what it starts.</param>
    ISourceHands Source(GuestName guest, string name);

    IDestinationHands Destination(GuestName guest, string name);
}

/// <summary>Carries out the source machine's effects for one migration.</summary>
public interface ISourceHands : IAsyncDisposable
{
    /// <summary>The machine's state as last evolved; what an effect needs of it is read here.</summary>
    Func<SourceState> State { get; set; }

    EffectRunner<SourceEffect, SourceCommand> Runner { get; }

    /// <summary>What its transfer keeps to while the guest runs, from now on; null: as fast as it can.</summary>
    void Limit(long? maxBytesPerSecond);

    /// <summary>How far its transfer is; null while it has none.</summary>
    ProgressView? Progress { get; }

    /// <summary>Completes when the guest process and all its device servers here have died; at once if none lives.</summary>
    Task WatchDeathAsync(CancellationToken cancellationToken);

    /// <summary>Only the fence file, read under its lock, tells what a dead guest process had promised.</summary>
    Task<SourceCommand> ReportDeathAsync(CancellationToken cancellationToken);
}

/// <summary>Carries out the destination machine's effects for one migration.</summary>
public interface IDestinationHands : IAsyncDisposable
{
    /// <summary>The machine's state as last evolved; what an effect needs of it is read here.</summary>
    Func<DestinationState> State { get; set; }

    /// <summary>Called when the incoming guest process has come up.</summary>
    Action Launched { get; set; }

    EffectRunner<DestinationEffect, DestinationCommand> Runner { get; }

    /// <summary>An order has come that applies: somebody coordinates the migration.</summary>
    void OnOrder();

    /// <summary>Completes when the incoming guest process has died; at once if none lives.</summary>
    Task WatchDeathAsync(CancellationToken cancellationToken);

    /// <summary>Completes when one of its devices has died and the guest process has not.</summary>
    Task<DestinationCommand> WatchDevicesAsync(CancellationToken cancellationToken);
}
