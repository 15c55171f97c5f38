using System.Diagnostics;
using System.Text.Json;
using MigrationCluster.Chaos.Traces;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Chaos.Tests;

public sealed class RecordedTracesTests : IDisposable
{
    private const int Page = RecordedWrites.PageBytes;

    private readonly string _folder = Directory.CreateTempSubdirectory("mcr").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_written_again_counts_once_and_a_reading_that_is_half_within_counts_half()
    {
        var trace = Read("mc-trace 1 g 40960", "1000 machine 0+4", "2000 machine 2+4", "2000 net0 5+1 9+1");
        Assert.Equal(("g", 40960, 2.0), (trace.Guest, trace.RamBytes, trace.Seconds));
        Assert.Equal(4 * Page, trace.Distinct(0, 1));
        Assert.Equal(7 * Page, trace.Distinct(0, 2)); // 0 to 5, and 9
        Assert.Equal(2 * Page, trace.Distinct(0.5, 1));
        Assert.Equal((4 + 0.5 * 3) * Page, trace.Distinct(0, 1.5));
        Assert.Equal(2 * Page, trace.Distinct(0, 2, dmaOnly: true));
        Assert.Equal(0, trace.Distinct(1, 1));
    }

    [Fact]
    public void A_recording_begins_anew_at_its_end_and_no_question_meets_more_than_all_of_it()
    {
        var trace = Read("mc-trace 1 g 40960", "1000 machine 0+4", "2000 machine 2+4");
        Assert.Equal(4 * Page, trace.Distinct(4, 5));
        Assert.Equal(6 * Page, trace.Distinct(1, 3));
        Assert.Equal(6 * Page, trace.Distinct(0.3, 99));
    }

    [Theory]
    [InlineData("line 1", "mc-trace 2 g 4096", "1 machine 0+1")]
    [InlineData("line 1", "mc-trace 1 g no", "1 machine 0+1")]
    [InlineData("line 2", "mc-trace 1 g 4096", "1 machine 0+2")]
    [InlineData("line 2", "mc-trace 1 g 4096", "1 machine 5")]
    [InlineData("line 2", "mc-trace 1 g 4096", "soon machine 0+1")]
    [InlineData("line 2", "mc-trace 1 g 4096", "1 machine")]
    [InlineData("line 3", "mc-trace 1 g 4096", "2 machine 0+1", "1 machine 0+1")]
    [InlineData("records no writes", "mc-trace 1 g 4096")]
    [InlineData("records no writes")]
    public void A_file_that_is_no_recording_is_refused_with_its_line(string expected, params string[] lines)
    {
        var refused = Assert.Throws<FormatException>(() => Read(lines));
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
        Assert.Contains(_folder, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_running_guests_writes_are_recorded_and_migrate_under_every_rule()
    {
        string guest = Path.Combine(_folder, "guest"), file = Path.Combine(_folder, "trace");
        using var process = await StartGuestAsync(guest);
        try
        {
            await RefusesBesideAMigrationAsync(guest, file);
            Assert.Equal(0, await RecordCommand.RecordAsync(guest, TimeSpan.FromSeconds(2), file, CancellationToken.None));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }

        var trace = RecordedWrites.Read(file);
        Assert.Equal(("recorded", 32 << 20), (trace.Guest, trace.RamBytes));
        Assert.InRange(trace.Seconds, 0.5, 30);
        Assert.InRange(trace.Distinct(0, trace.Seconds), 1 << 20, 32 << 20); // 16 MiB a second, at random
        Assert.True(trace.Distinct(0, trace.Seconds, dmaOnly: true) > 0, "the net device's DMA is not in it");
        var results = TraceContest.Run(firstSeed: 1, count: 3, CancellationToken.None, trace);
        Assert.All(results, result => Assert.Equal("recorded recorded", result.Trace.Kind));
        Assert.All(results, result => Assert.True(result.Of[TraceContest.Ours].Bytes >= trace.RamBytes));
    }

    [Fact]
    public async Task A_folder_without_a_guest_is_refused()
    {
        var refused = await Assert.ThrowsAsync<IOException>(
            () => RecordCommand.RecordAsync(_folder, TimeSpan.FromSeconds(1), Path.Combine(_folder, "trace"), CancellationToken.None));
        Assert.Contains(_folder, refused.Message, StringComparison.Ordinal);
    }

    /// <summary>What a migration has not read yet must not be acknowledged by somebody else.</summary>
    private static async Task RefusesBesideAMigrationAsync(string guest, string file)
    {
        await using var machine = await MachineEndpointClient.ConnectAsync(Path.Combine(guest, GuestFiles.Endpoint(DeviceName.Machine)));
        await machine.BindAsync(GuestName.Parse("recorded"), new Fence(new Epoch(1), new Term(1)), default);
        await machine.StartDirtyLogAsync(Page, default);
        var refused = await Assert.ThrowsAsync<IOException>(
            () => RecordCommand.RecordAsync(guest, TimeSpan.FromSeconds(1), file, CancellationToken.None));
        Assert.Contains("a migration of the guest is under way", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(file));
        await machine.AckDirtyAsync(await machine.ReadDirtyAsync(new PageBitmap((32 << 20) / Page), default), default); // its log is still on
        await machine.StopDirtyLogAsync(default);
    }

    private RecordedWrites Read(params string[] lines)
    {
        string path = Path.Combine(_folder, "trace");
        File.WriteAllLines(path, lines);
        return RecordedWrites.Read(path);
    }

    /// <summary>A guest process of its own, as a node launches it.</summary>
    private static async Task<Process> StartGuestAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        var spec = new LaunchSpec(
            "recorded", Incoming: false, Epoch: 1, Term: 1, MemoryMiB: 32, new LaunchVcpus(1, "uniform", 16, 1),
            [new LaunchDevice("net0", "net", new Dictionary<string, string>(), [])]);
        await File.WriteAllBytesAsync(
            Path.Combine(folder, GuestFiles.LaunchSpec), JsonSerializer.SerializeToUtf8Bytes(spec, JsonSerializerOptions.Web));
        string here = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar);
        string program = Path.GetFullPath(Path.Combine(here, "..", "..", "MigrationCluster.Guest", Path.GetFileName(here), "mc-guest"));
        var process = Process.Start(new ProcessStartInfo(program, ["run", "--directory", folder]) { RedirectStandardError = true })!;
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        for (int tries = 0; !File.Exists(Path.Combine(folder, GuestFiles.ProcessId)); tries++)
        {
            Assert.False(process.HasExited || tries > 900, "mc-guest does not start");
            await Task.Delay(100);
        }

        return process;
    }
}
