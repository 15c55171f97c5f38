using System.Net;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Node.Tests.Compatibility;

public sealed class OfferCatalogTests
{
    private static readonly IReadOnlyDictionary<string, DeviceTemplate> Templates = new Dictionary<string, DeviceTemplate>
    {
        ["net"] = new("net", Version: "2"),
        ["foreign"] = new(Command: ["server", "{socket}"]),
    };

    [Fact]
    public void Templates_and_mediated_types_are_offered_side_by_side()
    {
        using var sys = new TempDirectory();
        string type = Directory.CreateDirectory(
            Path.Combine(sys.Path, "class/mdev_bus/mtty/mdev_supported_types/mtty-1")).FullName;
        foreach (var (file, text) in new[] { ("device_api", "vfio-pci"), ("available_instances", "4"), ("version", "mtty-7") })
            File.WriteAllText(Path.Combine(type, file), text + "\n");

        var offers = new OfferCatalog(new NodeConfig(64, Templates, sys.Path), IPAddress.Loopback).Read();

        Assert.Equal(["foreign", "mtty-1", "net"], offers.Classes.Keys.Order());
        Assert.Equal(["mtty-1"], offers.VersionClasses);
        Assert.Equal(("net", "mtty-7"), (offers.Classes["net"].Model, offers.Classes["mtty-1"].VersionString));
        Assert.All(offers.Classes.Values, offer => Assert.Equal(DescriptorKind.Template, offer.Kind));
    }

    [Fact]
    public void The_digest_changes_with_what_is_offered_and_with_nothing_else()
    {
        using var none = new TempDirectory();
        var before = new OfferCatalog(new NodeConfig(64, Templates, none.Path), IPAddress.Loopback);
        var after = new OfferCatalog(new NodeConfig(
            64, new Dictionary<string, DeviceTemplate>(Templates) { ["net"] = new("net", Version: "1") }, none.Path), IPAddress.Loopback);

        Assert.Equal(before.Read().Digest, before.Read().Digest);
        Assert.NotEqual(before.Last.Digest, after.Last.Digest);
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("10.0.0.1", false)]
    public void Whether_other_machines_reach_the_data_plane_is_told(string listens, bool onLoopback)
    {
        using var none = new TempDirectory();
        Assert.Equal(onLoopback, new OfferCatalog(new NodeConfig(64, Templates, none.Path), IPAddress.Parse(listens)).Read().DataPlane!.OnLoopback);
    }

    [Fact]
    public void A_class_without_an_attribute_is_not_asked()
    {
        using var none = new TempDirectory();
        Assert.Equal(VersionAnswer.NotAsked, new OfferCatalog(new NodeConfig(64, Templates, none.Path), IPAddress.Loopback).Ask("net", "x"));
    }
}
