using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Chaos.Traces;

/// <summary>`mc-chaos record`: what a running guest writes, read from its dirty logs as a migration does, for `mc-chaos traces --recorded`.</summary>
internal static class RecordCommand
{
    private static readonly TimeSpan ReadEvery = TimeSpan.FromMilliseconds(20);

    public static Command Create()
    {
        var folder = new Option<DirectoryInfo>("--guest")
        {
            Description = "The guest's folder on this host: guests/NAME in the data folder of its node.",
            Required = true,
        };
        var seconds = new Option<int>("--seconds") { Description = "How long.", DefaultValueFactory = _ => 60 };
        var output = new Option<FileInfo>("--output") { Description = "Where to write it.", Required = true };
        var command = new Command("record",
            "Records what a running guest writes, page by page, for `traces --recorded`. Its dirty logs are on meanwhile, as in a migration, and off " +
            "afterwards. A migration of it that begins meanwhile ends the recording.")
        { folder, seconds, output };
        command.SetAction((parsed, cancel) => RunAsync(parsed.GetValue(folder)!, parsed.GetValue(seconds), parsed.GetValue(output)!, cancel));
        return command;
    }

    private static async Task<int> RunAsync(DirectoryInfo folder, int seconds, FileInfo output, CancellationToken cancel)
    {
        if (seconds < 1) return Refuse($"--seconds must be at least 1, not {seconds}", 2);
        if (output.Exists) return Refuse($"{output} is there already", 2);
        try
        {
            return await RecordAsync(folder.FullName, TimeSpan.FromSeconds(seconds), output.FullName, cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return Refuse(e.Message, 1);
        }
    }

    private static int Refuse(string why, int code)
    {
        Console.Error.WriteLine($"mc-chaos: {why}");
        return code;
    }

    /// <returns>0; 1 or 130: a migration or the operator has ended it early, and what was recorded until then is there.</returns>
    internal static async Task<int> RecordAsync(string folder, TimeSpan duration, string output, CancellationToken cancel)
    {
        string machinePath = Path.Combine(folder, GuestFiles.Endpoint(DeviceName.Machine));
        if (!File.Exists(machinePath)) throw new IOException($"no guest runs in {folder}: there is no {machinePath}");
        await using var machine = await MachineEndpointClient.ConnectAsync(machinePath, cancellationToken: cancel);
        var logs = new List<(string Name, EndpointClient Client)> { (DeviceName.Machine.Value, machine) };
        try
        {
            foreach (string path in Directory.EnumerateFiles(folder, "*.sock").Order(StringComparer.Ordinal).Where(path => path != machinePath))
                logs.Add((Path.GetFileNameWithoutExtension(path), await EndpointClient.ConnectAsync(path, cancellationToken: cancel)));
            var fence = await machine.ReadFenceAsync(cancel);
            if (!fence.MayRun) throw new IOException($"{fence.Guest} does not run here: this host is not its owner");
            foreach (var (_, client) in logs) await client.BindAsync(fence.Guest, fence.Fence, cancel);
            foreach (var (name, client) in logs) await RequireNoLogAsync(name, client, cancel);
            var layout = await machine.GetMemoryLayoutAsync(cancel);
            await using var file = new StreamWriter(output, append: false, new UTF8Encoding(false));
            await file.WriteLineAsync($"{RecordedWrites.Magic} {fence.Guest} {layout.PageCount * GuestMemoryLayout.PageSizeBytes}");
            return await ReadLogsAsync(logs, layout.PageCount, duration, file, cancel);
        }
        finally
        {
            foreach (var (_, client) in logs) await client.DisposeAsync();
        }
    }

    /// <summary>A log that is on is a migration's, which would never send what is acknowledged here. Asked with a set that fits no guest, so nothing
    /// is read; whatever but "not started" is answered, nothing is recorded.</summary>
    private static async Task RequireNoLogAsync(string name, EndpointClient client, CancellationToken cancel)
    {
        try
        {
            await client.ReadDirtyAsync(new PageBitmap(0), cancel);
        }
        catch (DeviceRefusedException e) when (e.Message.Contains("not started", StringComparison.Ordinal))
        {
            return;
        }
        catch (DeviceRefusedException)
        {
            // There is one.
        }

        throw new IOException($"the dirty log of {name} is on: a migration of the guest is under way, or another recording");
    }

    private static async Task<int> ReadLogsAsync(
        List<(string Name, EndpointClient Client)> logs, long pageCount, TimeSpan duration, StreamWriter file, CancellationToken cancel)
    {
        foreach (var (_, client) in logs) await client.StartDirtyLogAsync(GuestMemoryLayout.PageSizeBytes, cancel);
        try
        {
            foreach (var (_, client) in logs) await ReadAsync(client, pageCount); // what a new log begins with
            long start = Stopwatch.GetTimestamp();
            using var timer = new PeriodicTimer(ReadEvery);
            while (Stopwatch.GetElapsedTime(start) < duration)
            {
                await timer.WaitForNextTickAsync(cancel);
                double ms = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                foreach (var (name, client) in logs) await WriteAsync(file, ms, name, await ReadAsync(client, pageCount));
            }

            Console.WriteLine($"recorded {duration.TotalSeconds:0} s of {string.Join(", ", logs.Select(log => log.Name))}");
            return 0;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
        catch (DeviceRefusedException e) when (e.Errno == Protocol.VfioUser.Errno.EPERM)
        {
            Console.Error.WriteLine($"mc-chaos: the recording ends early, a migration of the guest has begun: {e.Message}");
            return 1;
        }
        finally
        {
            foreach (var (_, client) in logs) await StopAsync(client);
        }
    }

    private static async Task<PageBitmap> ReadAsync(EndpointClient client, long pageCount)
    {
        var pages = new PageBitmap(pageCount);
        await client.AckDirtyAsync(await client.ReadDirtyAsync(pages, CancellationToken.None), CancellationToken.None);
        return pages;
    }

    private static async Task StopAsync(EndpointClient client)
    {
        try
        {
            await client.StopDirtyLogAsync(CancellationToken.None);
        }
        catch (DeviceRefusedException)
        {
            // A migration needs it now.
        }
    }

    private static async Task WriteAsync(StreamWriter file, double ms, string name, PageBitmap pages)
    {
        if (pages.IsEmpty) return;
        var line = new StringBuilder(string.Create(CultureInfo.InvariantCulture, $"{ms:0.0} {name}"));
        for (long from = 0; pages.TryNextRun(from, long.MaxValue, out long first, out long count); from = first + count)
            line.Append(CultureInfo.InvariantCulture, $" {first}+{count}");
        await file.WriteLineAsync(line.ToString());
    }
}
