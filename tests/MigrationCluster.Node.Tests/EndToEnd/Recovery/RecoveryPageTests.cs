using System.Text.RegularExpressions;
using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>docs/recovery.md names no test and no failpoint that is not there.</summary>
public sealed partial class RecoveryPageTests
{
    private static readonly string Root = FindRoot();
    private static readonly string Page = File.ReadAllText(Path.Combine(Root, "docs/recovery.md"));

    [Fact]
    public void Every_test_it_names_is_there()
    {
        var files = Directory.GetFiles(Path.Combine(Root, "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .ToLookup(Path.GetFileNameWithoutExtension, File.ReadAllText);
        var named = Test().Matches(Page).Select(match => (Class: match.Groups[1].Value, Method: match.Groups[2].Value)).ToList();
        Assert.True(named.Count > 20, $"{named.Count}");
        Assert.All(named, test => Assert.Contains(files[test.Class], text => text.Contains($" {test.Method}(", StringComparison.Ordinal)));
    }

    [Fact]
    public void Every_failpoint_it_names_is_there()
    {
        var named = Failpoint().Matches(Page).Select(match => match.Value).ToList();
        Assert.True(named.Count > 10, $"{named.Count}");
        foreach (string name in named)
            Assert.Contains(FailpointNames.All, known =>
                name.Contains('…', StringComparison.Ordinal)
                    ? known.StartsWith(name.Split('…')[0], StringComparison.Ordinal) && known.EndsWith(name.Split('…')[1], StringComparison.Ordinal)
                    : known == name);
    }

    /// <summary>The rows of the design's table.</summary>
    [Theory]
    [InlineData("source daemon")]
    [InlineData("destination daemon")]
    [InlineData("coordinator")]
    [InlineData("source guest process")]
    [InlineData("destination guest process")]
    [InlineData("device server, source")]
    [InlineData("device server, destination")]
    [InlineData("a whole host")]
    [InlineData("store")]
    public void It_has_a_row_for_each_who_may_die(string who) =>
        Assert.Contains($"\n| {who} | ", Page, StringComparison.Ordinal);

    private static string FindRoot()
    {
        string at = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(at, "MigrationCluster.sln"))) at = Path.GetDirectoryName(at)!;
        return at;
    }

    [GeneratedRegex(@"\b(\w+Tests)\.(\w+)\b(?!\()")]
    private static partial Regex Test();

    [GeneratedRegex(@"(?<=`)(coordinator|source|destination|row|fence):(before|after|effect|…):\w+(?=`)")]
    private static partial Regex Failpoint();
}
