using System.Diagnostics;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Tests.Guests;

/// <summary>This test is the guest process, whatever it starts a device server.</summary>
public sealed class DeviceServersTests : IDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly Process _server = Process.Start("sleep", "1000");

    [Fact]
    public async Task The_first_that_dies_is_named_and_one_that_lives_is_not()
    {
        using var other = Process.Start("sleep", "1000");
        File.WriteAllText(Path.Combine(_directory.Path, "servers"), $"net0 {_server.Id}\nnet1 {other.Id}\n");
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        var dying = DeviceServers.UntilOneDiesAsync(_directory.Path, Self(), TimeProvider.System, limit.Token);
        Assert.False(dying.IsCompleted);

        other.Kill();

        Assert.Equal(new DeviceServer(new DeviceName("net1"), other.Id), await dying);
    }

    [Fact]
    public void A_process_of_another_parent_is_no_device_server()
    {
        Assert.True(ProcessTable.IsChild(_server.Id, Environment.ProcessId));
        Assert.False(ProcessTable.IsChild(1, Environment.ProcessId));
    }

    private static GuestTask Self()
    {
        string status = File.ReadAllText("/proc/self/stat");
        return new GuestTask(Environment.ProcessId, long.Parse(status[(status.LastIndexOf(')') + 2)..].Split(' ')[19]), Main: true);
    }

    public void Dispose()
    {
        _server.Kill();
        _server.Dispose();
        _directory.Dispose();
    }
}
