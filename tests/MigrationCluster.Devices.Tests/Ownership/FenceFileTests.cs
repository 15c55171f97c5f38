using MigrationCluster.Devices.Ownership;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Devices.Tests.Ownership;

public sealed class FenceFileTests : IDisposable
{
    private static readonly GuestName Guest = new("vm1");
    private readonly string _directory = Directory.CreateTempSubdirectory("mcf").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Votes_and_raises_are_there_for_the_next_who_opens_it()
    {
        using (var file = Open())
        {
            Assert.Null(file.Record);
            file.Store(new FenceRecord(Guest, Fence(3, 1), GuestRole.Owner));
            Assert.NotNull(file.TryCast(Vote.Kept, null).Record);
            Assert.Contains("already Kept(e3)", file.TryCast(Vote.Yielded, null).Refusal, StringComparison.Ordinal);
        }
        using (var file = Open())
        {
            Assert.True(file.Record!.Kept);
            Assert.Null(file.TryRaise(Fence(2, 9)));
            Assert.Null(file.TryRaise(Fence(3, 0)));
            Assert.False(file.TryRaise(Fence(4, 1))!.Kept);
        }
        Assert.Equal(Fence(4, 1), FenceFile.Read(_directory)!.Fence);
    }

    [Fact]
    public void Only_one_holds_it()
    {
        using var file = Open();
        Assert.Contains("still lives", Assert.Throws<FenceFileException>(() => Open()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_write_that_was_cut_short_leaves_the_old_record()
    {
        using (var file = Open()) file.Store(new FenceRecord(Guest, Fence(3, 1), GuestRole.Incoming));
        File.WriteAllText(Path.Combine(_directory, GuestFiles.Fence + ".tmp"), "{\"version\":1,\"gu");
        using var again = Open();
        Assert.Equal(Fence(3, 1), again.Record!.Fence);
        again.TryRaise(Fence(4, 0));
        Assert.Equal(Fence(4, 0), FenceFile.Read(_directory)!.Fence);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("{\"version\":1,\"guest\":\"vm1\",\"epoch\":1,\"term\":1,\"role\":\"Owner\",\"kept\":true,\"yielded\":true,\"permitted\":false,\"verifiedDigest\":null}")]
    [InlineData("{\"version\":2,\"guest\":\"vm1\",\"epoch\":1,\"term\":1,\"role\":\"Owner\",\"kept\":false,\"yielded\":false,\"permitted\":false,\"verifiedDigest\":null}")]
    [InlineData("{\"version\":1,\"guest\":\"VM 1\",\"epoch\":1,\"term\":1,\"role\":\"Owner\",\"kept\":false,\"yielded\":false,\"permitted\":false,\"verifiedDigest\":null}")]
    public void A_corrupt_record_is_refused_by_name(string content)
    {
        string path = Path.Combine(_directory, GuestFiles.Fence);
        File.WriteAllText(path, content);
        Assert.Contains(path, Assert.Throws<FenceFileException>(() => Open()).Message, StringComparison.Ordinal);
        // A refused open leaves no lock behind.
        File.Delete(path);
        Open().Dispose();
    }

    [Fact]
    public void An_older_record_is_never_stored_over_a_newer_one()
    {
        using var file = Open();
        file.Store(new FenceRecord(Guest, Fence(3, 1), GuestRole.Owner));
        Assert.Throws<FenceFileException>(() => file.Store(new FenceRecord(Guest, Fence(2, 7), GuestRole.Owner)));
        Assert.Equal(Fence(3, 1), FenceFile.Read(_directory)!.Fence);
    }

    [Theory]
    [InlineData("owner yielded", 3, false, "Yielded(e3)")]
    [InlineData("owner yielded", 3, true, "Yielded(e3)")]
    [InlineData("owner yielded", 4, true, null)]
    [InlineData("owner yielded", 4, false, null)]
    [InlineData("owner", 2, false, "newer than")]
    [InlineData("owner", 3, false, null)]
    [InlineData("owner", 3, true, "owns vm1")]
    [InlineData("incoming", 3, true, null)]
    [InlineData("incoming", 3, false, "no permit")]
    [InlineData("incoming verified", 3, true, "Verified(e3)")]
    [InlineData("incoming verified", 4, true, null)]
    public void A_launch_is_judged_by_the_record(string stored, ulong epoch, bool incoming, string? refusal)
    {
        var record = new FenceRecord(
            Guest, Fence(3, 1), stored.StartsWith("owner", StringComparison.Ordinal) ? GuestRole.Owner : GuestRole.Incoming,
            stored.EndsWith("verified", StringComparison.Ordinal) ? "d" : null,
            Yielded: stored.EndsWith("yielded", StringComparison.Ordinal));
        var (launched, reason) = FenceLaunch.Decide(record, Guest, Fence(epoch, 1), incoming);
        if (refusal is not null) Assert.Contains(refusal, reason, StringComparison.Ordinal);
        else Assert.Equal(incoming ? GuestRole.Incoming : GuestRole.Owner, launched!.Role);
    }

    [Fact]
    public void A_launch_for_another_guest_is_refused() =>
        Assert.Contains("of guest vm1", FenceLaunch.Decide(
            new FenceRecord(Guest, Fence(1, 1), GuestRole.Owner), new GuestName("vm2"), Fence(2, 1), false).Refusal,
            StringComparison.Ordinal);

    private FenceFile Open() => FenceFile.Open(_directory, inheritLock: false, TimeSpan.Zero);

    private static Fence Fence(ulong epoch, ulong term) => new(new Epoch(epoch), new Term(term));
}
