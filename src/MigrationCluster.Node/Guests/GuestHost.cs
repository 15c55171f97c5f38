using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MigrationCluster.Api;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Guests;

/// <summary>
/// The guest processes of this host: launches them, adopts those that outlived an earlier daemon, watches them, ends
/// them. A guest counts as dead only when its process and all of its device servers are: an orphan still does DMA.
/// </summary>
public sealed class GuestHost(
    NodeIdentity node, NodeConfig config, DataDirectory data, TimeProvider time, ILogger<GuestHost> logger) : IHostedService, IDisposable
{
    public const string LaunchCode = "guest.launch-failed";

    private static readonly TimeSpan LockWait = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private readonly Dictionary<GuestName, HostedGuest> _guests = [];
    private readonly Dictionary<GuestName, int> _launchingMiB = [];
    private readonly Dictionary<GuestName, IReadOnlyList<LaunchKernelDevice>> _launchingKernelDevices = [];
    private readonly Dictionary<GuestName, SemaphoreSlim> _turns = [];
    private readonly CancellationTokenSource _stop = new();

    public int FreeMiB
    {
        get
        {
            lock (_lock)
                return config.MemoryMiB - _guests.Values.Sum(guest => guest.Spec.MemoryMiB) - _launchingMiB.Values.Sum();
        }
    }

    /// <summary>Every guest process that lives here, by name.</summary>
    public IReadOnlyList<HostedGuest> List()
    {
        lock (_lock) return [.. _guests.Values.OrderBy(guest => guest.Spec.Guest, StringComparer.Ordinal)];
    }

    public HostedGuest? Find(GuestName guest)
    {
        lock (_lock) return _guests.GetValueOrDefault(guest);
    }

    /// <summary>Whether a guest of this spec could be launched here now.</summary>
    /// <param name="configuration">of its devices where it would come from; null: the templates' own.</param>
    /// <returns>every reason why not.</returns>
    public IReadOnlyList<Reason> Admit(string specJson, IReadOnlyList<DeviceConfiguration>? configuration = null) =>
        Admit(SpecReader.Read(specJson), configuration);

    /// <summary>Launches a guest process and waits until its endpoints listen.</summary>
    /// <param name="specJson">the guest spec as the operator wrote it; this host resolves its templates.</param>
    /// <param name="incoming">true: it waits for a migration; false: it runs at once.</param>
    /// <param name="configuration">of its devices where it comes from; null: the templates' own.</param>
    /// <param name="owner">of an incoming one; null: it starts here.</param>
    /// <remarks>Asked again for the same guest, epoch and role, it answers with the process that lives already.</remarks>
    public async Task<Answer<HostedGuest>> LaunchAsync(
        string specJson, Fence fence, bool incoming, CancellationToken cancellationToken,
        IReadOnlyList<DeviceConfiguration>? configuration = null, LaunchOwner? owner = null)
    {
        var draft = SpecReader.Read(specJson);
        HostedGuest? living = null;
        LaunchSpec launch;
        lock (_lock)
        {
            if (draft.Name is { } name && _guests.TryGetValue(new GuestName(name), out living)
                && living.Spec.Epoch == fence.Epoch.Value && living.Spec.Incoming == incoming)
                return living;
            var reasons = Admit(draft, configuration);
            if (living is not null || (draft.Name is { } busy && _launchingMiB.ContainsKey(new GuestName(busy))))
                reasons.Add(new Reason(
                    ErrorCodes.GuestExists, $"guest {draft.Name} already has a process on {node.Name}",
                    "stop that guest first, or choose another name"));
            if (reasons.Count > 0) return Refused(draft.Name, reasons);
            _launchingMiB[new GuestName(draft.Name!)] = draft.MemoryMiB!.Value;
            launch = GuestAdmission.Resolve(draft.Spec!, config, fence, incoming, configuration) with { Owner = owner };
            _launchingKernelDevices[new GuestName(draft.Name!)] = [.. KernelDevices.Of(launch)];
        }

        return await LaunchReservedAsync(launch, fence, incoming, cancellationToken);
    }

    /// <summary>Kills a guest's process and device servers, unless they belong to somebody newer; returns when all are dead, their leftover
    /// files are gone, and nothing under an older fence can be launched any more.</summary>
    /// <param name="incomingOnly">an owner is left alone too, whatever its fence.</param>
    /// <returns>why nothing was killed, or sealed; null: nothing of the guest lives here.</returns>
    /// <exception cref="FenceFileException">the fence file cannot be read, or is still held.</exception>
    /// <remarks>
    /// Also for a guest this host does not know (any more). It takes turns with launches: an order to end that is late cannot meet the
    /// launch of a newer attempt half done, and a launch that is late finds its fence older than the file's.
    /// </remarks>
    public async Task<string?> KillAsync(GuestName guest, Fence fence, bool incomingOnly, CancellationToken cancellationToken)
    {
        string directory = data.Guest(guest);
        using var turn = await TakeTurnAsync(guest, cancellationToken);
        if (WhyNot(FenceFile.Read(directory)) is { } reason) return reason;
        await KillAsync(guest, cancellationToken);
        Directory.CreateDirectory(directory);
        using var file = FenceFile.Open(directory, inheritLock: false, LockWait);
        // It may have been bound anew, or have voted, until it died.
        if (WhyNot(file.Record) is { } changed) return changed;
        if (file.Record is null) file.Store(new FenceRecord(guest, fence, GuestRole.Incoming));
        else file.TryRaise(fence);
        return null;

        string? WhyNot(FenceRecord? record) => record is null ? null
            : record.Fence > fence ? $"its fence file says {record.Fence}, newer than {fence}"
            : incomingOnly && record.Role == GuestRole.Owner ? "its fence file holds a permit"
            : null;
    }

    private async Task KillAsync(GuestName guest, CancellationToken cancellationToken)
    {
        string directory = data.Guest(guest);
        for (var tasks = ProcessTable.Of(directory); tasks.Count > 0; tasks = ProcessTable.Of(directory))
        {
            foreach (var task in tasks) ProcessTable.Kill(task);
            await Task.Delay(BetweenLooks, time, cancellationToken);
        }

        if (Find(guest) is { } hosted) await hosted.Ended.WaitAsync(cancellationToken);
        else new GuestFolder(directory, config.Sysfs).Clear();
    }

    /// <summary>Adopts what lives, and finishes what died while no daemon watched.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (string directory in Directory.EnumerateDirectories(data.Guests))
        {
            var folder = new GuestFolder(directory, config.Sysfs);
            var main = ProcessTable.Of(directory).FirstOrDefault(task => task.Main);
            if (main is not null && folder.IsReady && folder.ReadLaunch() is { } spec)
            {
                logger.LogInformation("adopted guest {Guest}, process {Process}", spec.Guest, main.Id);
                Watch(new HostedGuest(spec, directory, main));
            }
            else if (main is not null && folder.IsReady)
            {
                logger.LogError("{File} cannot be read: process {Process} is left alone", $"{directory}/{GuestFiles.LaunchSpec}", main.Id);
            }
            else
            {
                // Its launch was never answered for, or its device servers are orphans.
                await KillAsync(new GuestName(Path.GetFileName(directory)), cancellationToken);
            }
        }
    }

    /// <summary>Guests go on: the daemon only stops watching.</summary>
    public async Task StopAsync(CancellationToken cancellationToken) => await _stop.CancelAsync();

    public void Dispose() => _stop.Dispose();

    private List<Reason> Admit(SpecDraft draft, IReadOnlyList<DeviceConfiguration>? configuration)
    {
        List<LaunchKernelDevice> taken;
        lock (_lock) taken = [.. _guests.Values.SelectMany(guest => KernelDevices.Of(guest.Spec)), .. _launchingKernelDevices.Values.SelectMany(devices => devices)];
        return
        [
            .. GuestAdmission.Check(draft, node.Name, config, FreeMiB, data, configuration),
            .. KernelDevices.Check(draft, node.Name, config, taken),
        ];
    }

    private async Task<Answer<HostedGuest>> LaunchReservedAsync(
        LaunchSpec launch, Fence fence, bool incoming, CancellationToken cancellationToken)
    {
        var name = new GuestName(launch.Guest);
        try
        {
            using var turn = await TakeTurnAsync(name, cancellationToken);
            var folder = new GuestFolder(data.Guest(name), config.Sysfs);
            if (CheckFence(name, folder, fence, incoming) is { } refusal) return refusal;
            var process = await StartAsync(folder, launch, cancellationToken);
            logger.LogInformation(
                "guest {Guest} {Role} at {Fence}, process {Process}", name, incoming ? "incoming" : "started", fence, process.Id);
            var guest = new HostedGuest(launch, folder.Path, process);
            Watch(guest);
            return guest;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            logger.LogError("guest {Guest} could not be launched: {Reason}", name, error.Message);
            return HttpRefusal.Conflict(
                LaunchCode, $"guest {name} could not be launched on {node.Name}: {error.Message}",
                $"see {GuestFolderLog(name)} on {node.Name}");
        }
        finally
        {
            lock (_lock)
            {
                _launchingMiB.Remove(name);
                _launchingKernelDevices.Remove(name);
            }
        }
    }

    /// <summary>A launch that fails or is called off leaves no files: whoever ends it may take them for those of an owner that was here
    /// before, and leave them alone.</summary>
    private async Task<GuestTask> StartAsync(GuestFolder folder, LaunchSpec launch, CancellationToken cancellationToken)
    {
        try
        {
            folder.Prepare(launch);
            return await GuestLauncher.StartAsync(folder, time, cancellationToken);
        }
        catch
        {
            folder.Clear();
            throw;
        }
    }

    /// <summary>The fence file's lock is free only when everything of an earlier process is dead; then it says who may follow.</summary>
    private static HttpRefusal? CheckFence(GuestName guest, GuestFolder folder, Fence fence, bool incoming)
    {
        if (!Directory.Exists(folder.Path)) return null;
        using var file = FenceFile.Open(folder.Path, inheritLock: false, LockWait);
        return FenceLaunch.Decide(file.Record, guest, fence, incoming).Refusal is { } reason
            ? HttpRefusal.Conflict(LaunchCode, reason, "nothing to do: a newer attempt at this guest is under way")
            : null;
    }

    /// <summary>One at a time launches or ends a guest.</summary>
    private async Task<Turn> TakeTurnAsync(GuestName guest, CancellationToken cancellationToken)
    {
        SemaphoreSlim turns;
        lock (_lock) turns = _turns.TryGetValue(guest, out var known) ? known : _turns[guest] = new SemaphoreSlim(1, 1);
        await turns.WaitAsync(cancellationToken);
        return new Turn(turns);
    }

    private readonly struct Turn(SemaphoreSlim turns) : IDisposable
    {
        public void Dispose() => turns.Release();
    }

    private void Watch(HostedGuest guest)
    {
        lock (_lock) _guests[guest.Name] = guest;
        _ = WatchAsync(guest);
    }

    private async Task WatchAsync(HostedGuest guest)
    {
        try
        {
            using var tick = new PeriodicTimer(BetweenLooks, time);
            while (Look(guest, () => ProcessTable.IsAlive(guest.Process)))
                if (!await tick.WaitForNextTickAsync(_stop.Token))
                    return;
            logger.LogInformation("guest {Guest}'s process {Process} has ended", guest.Name, guest.Process.Id);
            while (Look(guest, () => KillWhatIsLeft(guest)))
                await tick.WaitForNextTickAsync(_stop.Token);
            new GuestFolder(guest.Directory, config.Sysfs).Clear();
        }
        catch (OperationCanceledException)
        {
            return;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            logger.LogError("cannot clean up after guest {Guest}: {Reason}", guest.Name, error.Message);
        }

        lock (_lock) _guests.Remove(guest.Name);
        guest.HasEnded();
    }

    /// <summary>Whether something of a guest lives. What cannot be seen now is not therefore dead: it is looked for again.</summary>
    private bool Look(HostedGuest guest, Func<bool> lives)
    {
        try
        {
            return lives();
        }
        catch (IOException error)
        {
            logger.LogError("cannot tell whether guest {Guest} lives: {Reason}", guest.Name, error.Message);
            return true;
        }
    }

    private static bool KillWhatIsLeft(HostedGuest guest)
    {
        var left = ProcessTable.Of(guest.Directory);
        foreach (var task in left) ProcessTable.Kill(task);
        return left.Count > 0;
    }

    private string GuestFolderLog(GuestName guest) => new GuestFolder(data.Guest(guest), config.Sysfs).Log;

    private static HttpRefusal Refused(string? guest, List<Reason> reasons) => new(
        reasons.Any(reason => reason.Code == ErrorCodes.BadSpec) ? 400 : 409,
        new ApiError(
            reasons[0].Code, $"guest {guest ?? "of this spec"} is refused: {string.Join("; ", reasons.Select(r => r.Message))}",
            reasons));
}
