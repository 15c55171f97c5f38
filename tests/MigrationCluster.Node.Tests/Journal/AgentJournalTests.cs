using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.Journal;

public sealed class AgentJournalTests : IDisposable
{
    private static readonly MigrationId M1 = new("m-1");
    private static readonly MigrationId M2 = new("m-2");
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private readonly TempDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Reads_on_from_a_number_across_migrations_and_by_migration_in_order()
    {
        using var journal = Open();
        journal.Append(M1, Side.Source, [new MachinePaused(M1, At), new GroupQuiet(M1, At)]);
        journal.Append(M2, Side.Destination, [new StreamComplete(M2, At, "d")]);
        journal.Append(M1, Side.Source, [new DevicesStopped(M1, At)]);

        var all = journal.ReadAfter(0, 100);
        Assert.Equal(["MachinePaused", "GroupQuiet", "StreamComplete", "DevicesStopped"], all.Select(Kind));
        Assert.Equal(["DevicesStopped"], journal.ReadAfter(all[2].Number, 100).Select(Kind));
        Assert.Equal(["GroupQuiet"], journal.ReadAfter(all[0].Number, 1).Select(Kind));
        Assert.Equal(["MachinePaused", "GroupQuiet", "DevicesStopped"], journal.ReadMigration(M1, Side.Source).Select(Kind));
        Assert.Empty(journal.ReadMigration(M1, Side.Destination));
        Assert.Equal([(M1, Side.Source), (M2, Side.Destination)], journal.ListMigrations());
    }

    [Fact]
    public void What_was_appended_is_there_after_reopening_and_no_number_is_used_twice()
    {
        long last;
        using (var journal = Open())
        {
            journal.Append(M1, Side.Source, [new GuestYielded(M1, At), new MachinePaused(M1, At)]);
            last = journal.ReadAfter(0, 10)[^1].Number;
        }

        using var again = Open();
        again.Append(M1, Side.Source, [new DevicesStopped(M1, At)]);
        var events = again.ReadAfter(0, 10);
        Assert.Equal(3, events.Count);
        // A power cut may take the last numbers back after a coordinator read them.
        Assert.True(events[^1].Number > last + 1_000);
    }

    /// <summary>A coordinator reads on from the last number it knows, and would hear nothing of a journal that began again below it.</summary>
    [Fact]
    public void A_journal_that_was_lost_is_followed_by_one_of_higher_numbers()
    {
        long last;
        using (var journal = Open())
        {
            journal.Append(M1, Side.Source, [new GuestYielded(M1, At), new MachinePaused(M1, At)]);
            last = journal.ReadAfter(0, 10)[^1].Number;
        }

        foreach (string file in Directory.EnumerateFiles(_directory.Path, "agent.db*")) File.Delete(file);
        using var next = Open();
        next.Append(M1, Side.Source, [new DevicesStopped(M1, At)]);
        Assert.Single(next.ReadAfter(last, 10));
    }

    [Fact]
    public async Task An_append_ends_the_wait_for_it()
    {
        using var journal = Open();
        var appended = journal.AppendedAsync(default);
        Assert.False(appended.IsCompleted);
        journal.Append(M1, Side.Source, [new MachinePaused(M1, At)]);

        await appended.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.False(journal.AppendedAsync(default).IsCompleted);
    }

    [Fact]
    public void Every_field_of_an_event_comes_back()
    {
        var setup = new SetupCollected(
            M1, At,
            [new SetupRecord("net0", 1, DeviceDescriptor.Empty(DescriptorKind.Device) with
            {
                Parameters = [new ParameterDescriptor(
                    "queues", ParameterType.Number, ParameterComparator.Equal, "2", "1", SupportedValues.Range(1, 64))],
                InterfaceVersion = new InterfaceVersion(1, 2, 3),
                Lists = new CompatibilityLists([new Dictionary<string, string> { ["driver"] = "i915" }], []),
            })],
            [new PlannedDevice(new("net0"), MigrationCapabilities.StopCopy | MigrationCapabilities.P2P, 1, DeviceState.RunningP2P)]);
        var opened = new SourceOpened(M1, At, new GuestName("g"), new Fence(new Epoch(7), new Term(3)));
        var pass = new IterationFinished(M1, At, 2, 10, 40960, TimeSpan.FromMilliseconds(12.5), 5, 1e9, 1e8);
        using var journal = Open();
        journal.Append(M1, Side.Source, [setup, opened, pass]);

        var read = journal.ReadMigration(M1, Side.Source).Select(numbered => numbered.Event).ToList();
        var back = Assert.IsType<SetupCollected>(read[0]);
        Assert.Equal(setup.Devices, back.Devices);
        Assert.Equivalent(setup.Records[0], back.Records[0], strict: true);
        Assert.Equal(opened, read[1]);
        Assert.Equal(pass, read[2]);
    }

    [Fact]
    public void A_failed_append_leaves_nothing_behind()
    {
        using var journal = Open();
        AgentEvent notWritable = new TransferOpenedElsewhere(M1, At);

        Assert.ThrowsAny<Exception>(() => journal.Append(M1, Side.Source, [new MachinePaused(M1, At), notWritable]));
        Assert.Empty(journal.ReadAfter(0, 10));
    }

    [Fact]
    public void A_file_of_a_later_release_is_refused_by_name()
    {
        string path = _directory.File("agent.db");
        using (SqliteFile.Open(path, "CREATE TABLE past (x INTEGER)", "CREATE TABLE future (x INTEGER)"))
        {
        }

        var error = Assert.Throws<IOException>(() => new AgentJournal(path, TimeProvider.System));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains("upgrade", error.Message, StringComparison.Ordinal);
    }

    private AgentJournal Open() => new(_directory.File("agent.db"), TimeProvider.System);

    private static string Kind(NumberedAgentEvent e) => e.Event.GetType().Name;

    /// <summary>Not a member of the closed family, so no JSON exists for it.</summary>
    private sealed record TransferOpenedElsewhere(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);
}
