using MigrationCluster.Api;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>What must hold once all has come to rest after a kill, as seen from outside.</summary>
internal sealed class KillVerdict(Fleet fleet, FailpointCase it, string source, string destination)
{
    /// <param name="ended">the migration; null: it never came to be one.</param>
    /// <returns>how it ended, in a word or two.</returns>
    public async Task<string> JudgeAsync(MigrationView? ended, FleetObserver observer)
    {
        string outcome = ended is null ? "never begun" : ended.Phase;
        if (ended is not null) ended.AssertSentOnce();
        if (it.Lost)
        {
            Assert.Equal("GuestLost", outcome);
            await AssertNobodyRunsItAsync();
            Assert.Empty(await observer.EndAsync());
            return outcome;
        }

        string owner = ended is { Phase: "Completed" } ? destination : source;
        string left = owner == source ? destination : source;
        Assert.Contains(outcome, (string[])["Completed", "Failed", "Cancelled", "never begun"]);
        bool without = it.Without is not null && owner == (it.Where.StartsWith("source", StringComparison.Ordinal) ? source : destination);
        if (without) await AssertRunsWithoutAsync(owner, it.Without!);
        else await fleet.AssertRunsAsync(owner);
        // A source is released after the guest runs elsewhere.
        await Eventually.TrueAsync($"{it}: nothing is left on {left}", () => Task.FromResult(fleet.Files(left).Leftovers().Count == 0));
        var rest = await observer.LookAsync();
        Assert.Empty(OwnershipInvariants.CheckHealed(rest!).Concat(OwnershipInvariants.Check(rest!)));
        Assert.Equal(owner, rest!.Row.Owner.Value);
        Assert.Empty(await observer.EndAsync());
        Assert.True(observer.Looks > 0);
        if (it.Story == Story.Starts) await StopOtherAsync();
        return without ? $"{outcome} without {it.Without}" : outcome;
    }

    /// <summary>A copy that may not run is the operator's to give up: it stands still until then.</summary>
    private async Task AssertNobodyRunsItAsync()
    {
        Assert.Empty(fleet.Files(destination).Leftovers());
        if (fleet.Files(source).Leftovers().Count > 0)
            Assert.Contains(await fleet.Files(source).MachineStateAsync(), (DeviceState[])[DeviceState.Stop, DeviceState.StopCopy]);
    }

    /// <summary>The guest works on there, short of the device that died, which is shown in Error.</summary>
    private async Task AssertRunsWithoutAsync(string owner, string device)
    {
        var guest = await fleet.Client.GetGuestAsync(Fleet.Guest, default);
        Assert.Equal((owner, "running"), (guest.Host, guest.State));
        Assert.All(guest.Devices, other => Assert.Equal(other.Name == device ? "Error, isolated" : "Running", other.State));
        Assert.True(await fleet.Client.CheckGuestAsync(Fleet.Guest, default) is { Pages: > 0, Wrong: 0 });
        await fleet.Files(owner).GoesOnAsync();
    }

    /// <summary>Whatever became of the start that was broken off: the guest can be stopped, and started.</summary>
    private async Task StopOtherAsync()
    {
        if ((await fleet.Client.ListGuestsAsync(default)).Any(guest => guest.Name == KillRun.Other))
            await fleet.Client.StopGuestAsync(KillRun.Other, default);
        await fleet.StartGuestAsync(Fleet.Spec(KillRun.Other, 32), destination);
        await fleet.AssertRunsAsync(destination, KillRun.Other);
        await fleet.Client.StopGuestAsync(KillRun.Other, default);
    }
}
