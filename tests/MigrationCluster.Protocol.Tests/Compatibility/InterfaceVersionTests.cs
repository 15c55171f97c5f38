using FsCheck;
using FsCheck.Fluent;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Protocol.Tests.Compatibility;

/// <summary>The laws of x.y.z.</summary>
public sealed class InterfaceVersionTests
{
    private static readonly Arbitrary<InterfaceVersion> Few = Versions(3);

    private static readonly Arbitrary<InterfaceVersion> Any = Versions(int.MaxValue);

    [Fact]
    public void Each_takes_itself() => Prop.ForAll(Few, v => v.Takes(v)).QuickCheckThrowOnFailure();

    [Fact]
    public void What_takes_what_takes_takes() => Prop.ForAll(Few, Few, Few, (a, b, c) =>
        !(c.Takes(b) && b.Takes(a)) || c.Takes(a)).QuickCheckThrowOnFailure();

    [Fact]
    public void Two_that_take_each_other_differ_in_bugfix_at_most() => Prop.ForAll(Few, Few, (a, b) =>
        (a.Takes(b) && b.Takes(a)) == (a with { Bugfix = 0 } == b with { Bugfix = 0 })).QuickCheckThrowOnFailure();

    [Fact]
    public void Of_one_major_one_at_least_takes_the_other_and_of_two_majors_none() => Prop.ForAll(Few, Few, (a, b) =>
        (a.Takes(b) || b.Takes(a)) == (a.Major == b.Major)).QuickCheckThrowOnFailure();

    [Fact]
    public void Bugfix_never_decides_whether() => Prop.ForAll(Few, Few, (a, b) =>
        a.Takes(b) == (a with { Bugfix = 9 }).Takes(b) && a.Takes(b) == a.Takes(b with { Bugfix = 9 })).QuickCheckThrowOnFailure();

    [Fact]
    public void A_version_is_read_as_it_is_shown() => Prop.ForAll(Any, version =>
        InterfaceVersion.TryParse($"{version}", out var read) && read == version).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("1.2")]
    [InlineData("1.2.3.4")]
    [InlineData("1.2.-3")]
    [InlineData("1.2.x")]
    [InlineData(" 1.2.3")]
    [InlineData("1.2.2147483648")]
    public void What_is_no_version_is_refused(string? text) => Assert.False(InterfaceVersion.TryParse(text, out _));

    private static Arbitrary<InterfaceVersion> Versions(int greatest) => Gen.Choose(0, greatest).Three()
        .Select(numbers => new InterfaceVersion(numbers.Item1, numbers.Item2, numbers.Item3)).ToArbitrary();
}
