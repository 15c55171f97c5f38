using System.Net.Sockets;
using MigrationCluster.Devices;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Node.Transfers;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.EndToEnd;

public sealed class DeviceActorTests : EndToEndTest
{
    private static readonly DeviceName Serial = new("serial0");

    [Fact]
    public async Task A_device_actor_that_loses_its_device_is_restarted_and_its_peer_works_on()
    {
        string detour = Directory.CreateDirectory(Fleet.PathOf("detour")).FullName;
        var supervisor = new RecordingSupervisor();
        await using var broken = Actor(Serial, detour, supervisor);
        await using var peer = Actor(new DeviceName("gpu0"), Fleet.Files(Fleet.Alpha).Directory, supervisor);
        Assert.Equal(DeviceState.Running, await StateOfAsync(peer));

        string socket = Path.Combine(detour, GuestFiles.Endpoint(Serial));
        using (var mute = Listen(socket))
        {
            var asked = StateOfAsync(broken);
            using (await mute.AcceptAsync())
                Assert.Equal(DeviceState.Running, await StateOfAsync(peer));
            await Assert.ThrowsAsync<DeviceLostException>(() => asked);
        }

        await supervisor.HeardAsync();
        var failure = Assert.Single(supervisor.Failures);
        Assert.Equal((broken.Name, false), (failure.Actor, failure.Recovering));
        Assert.IsType<DeviceLostException>(failure.Error);

        File.Delete(socket);
        File.CreateSymbolicLink(socket, Fleet.Files(Fleet.Alpha).PathOf(GuestFiles.Endpoint(Serial)));
        Assert.Equal(DeviceState.Running, await StateOfAsync(broken));
        Assert.Equal(DeviceState.Running, await StateOfAsync(peer));
        Assert.Single(supervisor.Failures);
    }

    private static DeviceActor Actor(DeviceName device, string directory, ISupervisor supervisor)
    {
        var address = new GuestAddress(new GuestName(Fleet.Guest), directory, new Fence(new Epoch(1), new Term(1)));
        var actor = new DeviceActor($"source/m-1/{device}", address, device, supervisor, TimeProvider.System);
        actor.Start();
        return actor;
    }

    private static Task<DeviceState> StateOfAsync(DeviceActor actor) => actor.AskAsync<DeviceState>(
        (reply, cancel) => new DeviceMessage.ReadState(reply, cancel), CancellationToken.None);

    private static Socket Listen(string path)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        return listener;
    }
}
