using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices.Tests.Sysfs;

/// <summary>Seed 000 from the tree to the verdict: what one host's tree shows, asked of another's.</summary>
public sealed class MdevVerdictTests
{
    private const string V2 = "00028086-193b-i915-GVTg_V5_2";
    private const string V4 = "00028086-193b-i915-GVTg_V5_4";

    [FuseFact(DisplayName = "000: of many hosts those that answer yes are known before anything moves")]
    public void Only_hosts_whose_driver_takes_the_version_are_compatible()
    {
        Assert.IsType<Compatible>(Judge(new SampleVersionDriver(V4)));
        Assert.IsType<Compatible>(Judge(new SampleVersionDriver("another vendor part", V4)));
        Assert.Contains(Assert.IsType<Incompatible>(Judge(new SampleVersionDriver(V2))).Reasons,
            reason => reason.Code == "device.version-refused" && reason.Expected == V4);
        Assert.Contains(Assert.IsType<Incompatible>(Judge(null)).Reasons, reason => reason.Code == "device.not-migratable");
    }

    [FuseFact(DisplayName = "000: a source without a version does not migrate, whatever the destination is")]
    public void A_source_without_the_attribute_is_never_compatible()
    {
        Assert.IsNotType<Compatible>(Judge(new SampleVersionDriver(V4), sourceHasVersion: false));
        Assert.IsNotType<Compatible>(Judge(null, sourceHasVersion: false));
    }

    [FuseFact]
    public void Two_equal_version_strings_are_no_answer()
    {
        using var host = Host(new SampleVersionDriver(V4));
        var type = Assert.Single(Templates(host));
        Assert.IsType<Unknown>(HandlerChain.Default.Judge(new Candidate(type.Descriptor, type.Descriptor)).Verdict);
    }

    private static Verdict Judge(SampleVersionDriver? destination, bool sourceHasVersion = true)
    {
        using var source = Host(sourceHasVersion ? new SampleVersionDriver(V4) : null);
        using var target = Host(destination);
        var device = Assert.Single(Read(source), found => found.Name == SampleHost.Uuid);
        var template = Assert.Single(Templates(target));
        // A source without a version has no question to ask.
        var answer = device.Descriptor.VersionString is { } version
            ? template.Attribute!.Check(version).Answer
            : VersionAnswer.NotAsked;
        return HandlerChain.Default.Judge(new Candidate(device.Descriptor, template.Descriptor, answer)).Verdict;
    }

    private static FuseMount Host(SampleVersionDriver? driver)
    {
        var tree = new FuseTree().AddFunction(SampleHost.Gpu);
        tree = driver is null ? tree.AddType(SampleHost.Gpu, "t") : tree.AddType(SampleHost.Gpu, "t", driver);
        return new FuseMount(tree.AddMdev(SampleHost.Gpu, SampleHost.Uuid, "t"));
    }

    private static IReadOnlyList<SysfsDescriptor> Read(FuseMount host) => SysfsDescriptors.Of(new SysfsTree(host.Root).Read());

    private static IEnumerable<SysfsDescriptor> Templates(FuseMount host) =>
        Read(host).Where(found => found.Descriptor.Kind == DescriptorKind.Template);
}
