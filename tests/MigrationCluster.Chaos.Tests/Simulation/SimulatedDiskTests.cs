using MigrationCluster.Chaos.Planting;
using MigrationCluster.Chaos.Simulation;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Tests.Simulation;

public sealed class SimulatedDiskTests
{
    private static readonly MigrationId M1 = new("m-1");

    private readonly SimulatedDisk _disk = new(
        new HostName("h1"), new Observer(new VirtualTime(null, new Trace(false)), Build.Product, new Trace(false)));

    [Fact]
    public void A_power_cut_takes_nothing_that_is_durable_and_whole_transactions_of_the_rest()
    {
        for (int seed = 0; seed < 50; seed++)
        {
            _disk.Append(M1, Side.Source, [new MachinePaused(M1, default)]);
            _disk.Append(M1, Side.Source, [new GuestYielded(M1, default)]);
            _disk.Append(M1, Side.Source, [new GroupQuiet(M1, default), new DevicesStopped(M1, default)]);
            int before = _disk.ReadMigration(M1, Side.Source).Count;
            int gone = _disk.CutPower(new Random(seed));
            Assert.Contains(gone, (int[])[0, 2]);
            Assert.Equal(before - gone, _disk.ReadMigration(M1, Side.Source).Count);
        }
    }

    [Fact]
    public void No_number_is_used_twice_after_a_power_cut()
    {
        _disk.Append(M1, Side.Source, [new MachinePaused(M1, default)]);
        long last = _disk.ReadAfter(0, 10)[^1].Number;
        _disk.CutPower(new Random(1));
        _disk.Open();
        _disk.Append(M1, Side.Source, [new GroupQuiet(M1, default)]);
        Assert.True(_disk.ReadAfter(last, 10)[^1].Number > last + 1_000);
    }

    [Fact]
    public async Task An_append_ends_the_wait_for_it()
    {
        var appended = _disk.AppendedAsync(default);
        Assert.False(appended.IsCompleted);
        _disk.Append(M1, Side.Source, [new MachinePaused(M1, default)]);
        await appended;
    }
}
