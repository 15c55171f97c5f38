using System.Diagnostics;
using System.Text;
using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;

namespace MigrationCluster.Devices.Tests.Sysfs;

/// <summary>Seed 000, "vfio/mdev: add version field as mandatory attribute for mdev device": what each answer of a driver means.
/// The tree is mounted, so that lengths and errnos are what write(2) and read(2) really return.</summary>
public sealed class VersionAttributeTests : IDisposable
{
    private const string V1 = "00028086-193b-i915-GVTg_V5_1";
    private const string V2 = "00028086-193b-i915-GVTg_V5_2";
    private const string V4 = "00028086-193b-i915-GVTg_V5_4";
    private const int EIO = 5;
    private const int ENODEV = 19;
    private const int EOPNOTSUPP = 95;

    private readonly SampleVersionDriver _driver = new(V4);
    private FuseMount? _mount;

    public void Dispose() => _mount?.Dispose();

    [FuseFact(DisplayName = "000: reading the attribute shows the version string of a device of the type")]
    public void Shows_the_version_at_the_device_and_at_the_type()
    {
        var (type, device) = Host(_driver.Show, _driver.Store);
        Assert.Equal(new VersionReading.Known(V4), type.Version);
        Assert.Equal(new VersionReading.Known(V4), device.Version);
        Assert.EndsWith($"{SampleHost.Pci(SampleHost.Gpu)}/{SampleHost.Uuid}/mdev_type/version",
            VersionAttribute.Of(device).Path, StringComparison.Ordinal);
        Assert.EndsWith($"{SampleHost.Pci(SampleHost.Gpu)}/mdev_supported_types/i915-GVTg_V5_4/version",
            VersionAttribute.Of(type).Path, StringComparison.Ordinal);
    }

    [FuseFact(DisplayName = "000 (a): V5_4 written to V5_4 returns the written length: compatible")]
    public void Compatible_when_the_written_length_comes_back()
    {
        var (type, device) = Host(_driver.Show, _driver.Store);
        Assert.Equal(new VersionCheck.Compatible(), VersionAttribute.Of(device).Check(V4));
        Assert.Equal(new VersionCheck.Compatible(), VersionAttribute.Of(type).Check(V4));
    }

    [FuseFact(DisplayName = "000 (b): V5_1 written to a device of V5_4 is EINVAL: incompatible")]
    public void Refuses_another_version_at_the_device()
    {
        var refused = Assert.IsType<VersionCheck.Refused>(
            VersionAttribute.Of(Host(_driver.Show, _driver.Store).Device).Check(V1));
        Assert.Equal("EINVAL", refused.Errno);
        Assert.Contains(V1, refused.Why, StringComparison.Ordinal);
        Assert.Contains("Invalid argument", refused.Why, StringComparison.Ordinal);
    }

    [FuseFact(DisplayName = "000: V5_2 written to the type V5_4 is EINVAL: incompatible")]
    public void Refuses_another_version_at_the_type() => Assert.Equal("EINVAL", Assert.IsType<VersionCheck.Refused>(
        VersionAttribute.Of(Host(_driver.Show, _driver.Store).Type).Check(V2)).Errno);

    [FuseFact(DisplayName = "000: a driver may take versions other than its own, and the other direction is another question")]
    public void Compatibility_is_the_drivers_and_directional()
    {
        var newer = new SampleVersionDriver(V4, V2);
        var older = new SampleVersionDriver(V2);
        var inventory = Mount(new FuseTree()
            .AddFunction(SampleHost.Gpu)
            .AddType(SampleHost.Gpu, "new", newer)
            .AddType(SampleHost.Gpu, "old", older)).Read();
        Assert.Equal(new VersionCheck.Compatible(), Check(inventory.Types[0], inventory.Types[1]));
        Assert.IsType<VersionCheck.Refused>(Check(inventory.Types[1], inventory.Types[0]));

        static VersionCheck Check(MdevType destination, MdevType source) =>
            VersionAttribute.Of(destination).Check(((VersionReading.Known)source.Version).Text);
    }

    [FuseFact(DisplayName = "000: a device without the attribute does not support migration")]
    public void Not_migratable_without_the_attribute()
    {
        var (type, device) = Host(null, null);
        Assert.Equal("ENOENT", Assert.IsType<VersionReading.NotMigratable>(type.Version).Errno);
        Assert.Equal("ENOENT", Assert.IsType<VersionReading.NotMigratable>(device.Version).Errno);
        Assert.Equal("ENOENT", Assert.IsType<VersionCheck.NotMigratable>(VersionAttribute.Of(device).Check(V4)).Errno);
    }

    [FuseFact(DisplayName = "000: a device that always answers an errno does not support migration")]
    public void Not_migratable_when_every_read_and_write_is_an_errno()
    {
        var (type, device) = Host(() => FuseAnswer.Fail(EOPNOTSUPP), _ => -ENODEV);
        Assert.Equal("EOPNOTSUPP", Assert.IsType<VersionReading.NotMigratable>(device.Version).Errno);
        var answer = Assert.IsType<VersionCheck.NotMigratable>(VersionAttribute.Of(type).Check(V4));
        Assert.Equal("ENODEV", answer.Errno);
        Assert.Contains(VersionAttribute.Of(type).Path, answer.Why, StringComparison.Ordinal);
    }

    [FuseFact(DisplayName = "000: a length other than the written string's is not the compatible case")]
    public void A_short_write_is_no_yes()
    {
        var device = Host(_driver.Show, content => content.Length - 1).Device;
        Assert.Equal(new VersionCheck.PartlyTaken(V4.Length, V4.Length + 1), VersionAttribute.Of(device).Check(V4));
        Assert.Equal(new VersionCheck.PartlyTaken(0, V4.Length + 1),
            VersionAttribute.Of(Host(_driver.Show, _ => 0).Device).Check(V4));
    }

    [FuseFact(DisplayName = "000: the question is byte for byte and write for write what a shell's echo writes")]
    public void Asks_as_echo_does()
    {
        var type = Host(_driver.Show, _driver.Store).Type;
        string path = VersionAttribute.Of(type).Path;
        Assert.Equal(0, Shell($"echo {V4} > '{path}'"));
        VersionAttribute.Of(type).Check(V4);
        Assert.NotEqual(0, Shell($"echo {V1} > '{path}'"));
        Assert.Equal([V4 + "\n", V4 + "\n", V1 + "\n"], _driver.Written.Select(Encoding.UTF8.GetString));
    }

    [FuseFact(DisplayName = "000: the string is opaque: no form of it is refused but by the driver")]
    public void Passes_any_text_to_the_driver()
    {
        foreach (string version in new[] { "x", "not-hex!-é", " spaced ", "two\nlines", "ends\n" })
        {
            var driver = new SampleVersionDriver(version);
            var device = Host(driver.Show, driver.Store).Device;
            Assert.Equal(new VersionReading.Known(version), device.Version);
            Assert.Equal(new VersionCheck.Compatible(), VersionAttribute.Of(device).Check(version));
            Assert.Equal(Encoding.UTF8.GetBytes(version + "\n"), Assert.Single(driver.Written));
        }
    }

    [FuseFact]
    public void Nothing_is_known_where_the_driver_was_not_asked()
    {
        // An attribute that is read-only, and a device that went away since it was found.
        var (type, device) = Host(_driver.Show, null);
        Assert.Contains("EACCES", Assert.IsType<VersionCheck.Unknown>(VersionAttribute.Of(type).Check(V4)).Why,
            StringComparison.Ordinal);
        var gone = VersionAttribute.Of(device with { Path = device.Path + "x" });
        Assert.Contains("ENOENT", Assert.IsType<VersionReading.Unknown>(gone.Read()).Why, StringComparison.Ordinal);
        Assert.Contains("ENOENT", Assert.IsType<VersionCheck.Unknown>(gone.Check(V4)).Why, StringComparison.Ordinal);
    }

    [FuseFact]
    public void Nothing_is_known_of_what_is_no_version()
    {
        Assert.Contains("empty", Unknown(FuseAnswer.Text("\n")), StringComparison.Ordinal);
        Assert.Contains("UTF-8", Unknown(new FuseAnswer(0, [0xff, 0xfe])), StringComparison.Ordinal);
        Assert.Contains("more than 4096 bytes", Unknown(new FuseAnswer(0, new byte[1 << 20])), StringComparison.Ordinal);

        string Unknown(FuseAnswer answer) =>
            Assert.IsType<VersionReading.Unknown>(Host(() => answer, _driver.Store).Device.Version).Why;
    }

    [FuseFact]
    public void One_errno_on_writing_is_a_refusal_while_the_device_shows_its_version() => Assert.Equal("EIO",
        Assert.IsType<VersionCheck.Refused>(VersionAttribute.Of(Host(_driver.Show, _ => -EIO).Device).Check(V4)).Errno);

    private (MdevType Type, MdevDevice Device) Host(Func<FuseAnswer>? show, Func<byte[], int>? store)
    {
        var inventory = Mount(new FuseTree()
            .AddFunction(SampleHost.Gpu)
            .AddType(SampleHost.Gpu, "i915-GVTg_V5_4", show, store)
            .AddMdev(SampleHost.Gpu, SampleHost.Uuid, "i915-GVTg_V5_4")).Read();
        Assert.Empty(inventory.Findings);
        return (Assert.Single(inventory.Types), Assert.Single(inventory.Devices));
    }

    private SysfsTree Mount(FuseTree tree)
    {
        _mount?.Dispose();
        _mount = new FuseMount(tree);
        return new SysfsTree(_mount.Root);
    }

    private static int Shell(string command)
    {
        using var shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardError = true })!;
        shell.StandardError.ReadToEnd();
        shell.WaitForExit();
        return shell.ExitCode;
    }
}
