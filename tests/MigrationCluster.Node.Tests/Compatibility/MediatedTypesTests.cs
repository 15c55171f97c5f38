using MigrationCluster.Api;
using MigrationCluster.Devices.Tests.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;
using MigrationCluster.Node.Tests.EndToEnd;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.Compatibility;

/// <summary>Seed 000 over a fleet: three hosts with real attributes behind a mounted sysfs, asked through their agents.</summary>
public sealed class MediatedTypesTests
{
    private const string Type = "i915-GVTg_V5_4";
    private const string Older = "00028086-193b-i915-GVTg_V5_4";
    private const string Newer = "00028086-193b-i915-GVTg_V5_4-b";

    [FuseFact(DisplayName = "000: a management application finds the hosts that take a version before anything moves")]
    public async Task The_matrix_of_a_mediated_type_is_what_each_hosts_own_attribute_answers()
    {
        var drivers = new[] { new SampleVersionDriver(Older), new SampleVersionDriver(Newer, Older), null };
        using var alphaTree = Host(drivers[0]);
        using var betaTree = Host(drivers[1]);
        using var gammaTree = Host(drivers[2]);
        await using var alpha = await TestNode.StartAsync("alpha", sysfs: alphaTree.Root);
        await using var beta = await TestNode.StartAsync("beta", alpha, sysfs: betaTree.Root);
        await using var gamma = await TestNode.StartAsync("gamma", alpha, sysfs: gammaTree.Root);
        await Eventually.TrueAsync("all hosts have told what they can make", async () =>
            (await alpha.Client.ListNodesAsync(default)).Count(node => node.Reachable) == 3
            && (await alpha.Client.GetCompatMatrixAsync(Type, default)).Single().Hosts.All(host => host.Offers == true));

        var matrix = (await alpha.Client.GetCompatMatrixAsync(Type, default)).Single();

        Assert.Equal(["alpha", "beta", "gamma"], matrix.Hosts.Select(host => host.Host));
        Assert.Equal([Verdicts.Compatible, Verdicts.Compatible, Verdicts.Incompatible], matrix.Verdicts[0]);
        Assert.Equal([Verdicts.Incompatible, Verdicts.Compatible, Verdicts.Incompatible], matrix.Verdicts[1]);
        Assert.DoesNotContain(Verdicts.Compatible, matrix.Verdicts[2]);
        Assert.Equal(new OneWayView("alpha", "beta", Verdicts.Incompatible), Assert.Single(matrix.OneWay));
        Assert.Contains(drivers[1]!.Written, written => written.AsSpan().SequenceEqual(System.Text.Encoding.UTF8.GetBytes(Older + "\n")));
    }

    private static FuseMount Host(SampleVersionDriver? driver)
    {
        var tree = new FuseTree().AddFunction(SampleHost.Gpu);
        return new FuseMount(driver is null ? tree.AddType(SampleHost.Gpu, Type) : tree.AddType(SampleHost.Gpu, Type, driver));
    }
}
