using System.Globalization;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>A guest's directory on one host, and its processes there, as somebody sees them who asks no daemon.</summary>
internal sealed record GuestOnHost(string Directory)
{
    public int ProcessId => int.Parse(File.ReadAllText(PathOf(GuestFiles.ProcessId)), CultureInfo.InvariantCulture);

    /// <summary>The process id of a device's server.</summary>
    public int Server(string device) => int.Parse(
        File.ReadLines(PathOf(GuestFiles.DeviceServers)).Select(line => line.Split(' ')).Single(line => line[0] == device)[1],
        CultureInfo.InvariantCulture);

    public string PathOf(string file) => Path.Combine(Directory, file);

    /// <summary>How many pages its vCPUs have written since it was started.</summary>
    public async Task<ulong> PageWritesAsync()
    {
        await using var machine = await MachineEndpointClient.ConnectAsync(PathOf(GuestFiles.Endpoint(DeviceName.Machine)));
        byte[] value = new byte[sizeof(ulong)];
        await machine.ReadRegionAsync(MachineRegisters.Region, MachineRegisters.PageWrites, value, default);
        return BitConverter.ToUInt64(value);
    }

    public async Task<DeviceState> MachineStateAsync()
    {
        await using var machine = await MachineEndpointClient.ConnectAsync(PathOf(GuestFiles.Endpoint(DeviceName.Machine)));
        return await machine.GetStateAsync(default);
    }

    /// <summary>Returns once its vCPUs have written more pages than they had when this was called.</summary>
    public async Task GoesOnAsync()
    {
        ulong before = await PageWritesAsync();
        await Eventually.TrueAsync("the guest writes on", async () => await PageWritesAsync() > before);
    }

    /// <summary>Changes one byte of every 100th page of its RAM, as nothing that belongs here ever does.</summary>
    public void SpoilRam()
    {
        string descriptor = System.IO.Directory.EnumerateFiles($"/proc/{ProcessId}/fd")
            .First(file => new FileInfo(file).LinkTarget?.Contains("guest-ram", StringComparison.Ordinal) == true);
        using var ram = File.OpenHandle(descriptor, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        byte[] one = new byte[1];
        for (long at = 77; at < RandomAccess.GetLength(ram); at += 100 * 4096)
        {
            RandomAccess.Read(ram, one, at);
            one[0]++;
            RandomAccess.Write(ram, one, at);
        }
    }

    /// <summary>Processes and files that only a living guest has. Its fence and its logs stay for good.</summary>
    public IReadOnlyList<string> Leftovers()
    {
        var left = ProcessFiles.Naming(Directory).Select(process => process.CommandLine).ToList();
        if (System.IO.Directory.Exists(Directory))
            left.AddRange(System.IO.Directory.EnumerateFiles(Directory).Where(file =>
                !Path.GetFileName(file).StartsWith(GuestFiles.Fence, StringComparison.Ordinal)
                && !Path.GetFileName(file).StartsWith(GuestFiles.Log, StringComparison.Ordinal)));
        return left;
    }
}
