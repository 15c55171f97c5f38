using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.Guests;

public sealed class ProcessTableTests
{
    [Fact]
    public void A_process_that_is_gone_does_not_live() =>
        Assert.False(ProcessTable.IsAlive(new GuestTask(int.MaxValue, 1, Main: true)));

    /// <summary>A daemon without a descriptor left once took every guest for dead, and then killed what it found of them.</summary>
    [Fact]
    public void A_process_that_cannot_be_looked_at_is_not_taken_for_dead()
    {
        using var proc = new TempDirectory();
        string process = Directory.CreateDirectory(Path.Combine(proc.Path, "7")).FullName;
        File.CreateSymbolicLink(Path.Combine(process, "stat"), "stat");
        Assert.Throws<IOException>(() => ProcessTable.IsAlive(new GuestTask(7, 1, Main: true), proc.Path));
    }
}
