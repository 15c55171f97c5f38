using System.Reflection;
using System.Text.RegularExpressions;

namespace MigrationCluster.Protocol.Tests.Compatibility;

/// <summary>docs/compatibility.md names every reason code and every test of a thread's example, and none that is not there.</summary>
public sealed partial class CompatibilityPageTests
{
    private static readonly string Root = FindRoot();
    private static readonly string Page = File.ReadAllText(Path.Combine(Root, "docs/compatibility.md"));

    [Fact]
    public void It_has_a_row_for_every_reason_code()
    {
        string[] folders = ["", "Rules", "Handlers"];
        var written = folders.SelectMany(folder => Directory.GetFiles(Path.Combine(Root, "src/MigrationCluster.Protocol/Compatibility", folder), "*.cs"))
            .SelectMany(file => Quoted().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value);
        var explained = Row().Matches(Page).Select(match => match.Groups[1].Value);
        Assert.Equal(written.Distinct().Order(), explained.Order());
    }

    [Fact]
    public void It_names_every_test_of_a_threads_example()
    {
        var written = Assembly.GetExecutingAssembly().GetTypes().SelectMany(type => type.GetMethods())
            .Select(method => method.Name).Where(name => ThreadTest().IsMatch(name));
        var named = ThreadTest().Matches(Page).Select(match => match.Value);
        Assert.Equal(written.Distinct().Order(), named.Distinct().Order());
    }

    [Fact]
    public void Every_test_it_names_of_another_class_is_there()
    {
        var files = Directory.GetFiles(Path.Combine(Root, "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .ToLookup(Path.GetFileNameWithoutExtension, File.ReadAllText);
        var missing = TestOfClass().Matches(Page)
            .Where(match => !files[match.Groups[1].Value].Any(text => text.Contains($" {match.Groups[2].Value}(", StringComparison.Ordinal)))
            .Select(match => match.Value);
        Assert.Empty(missing);
    }

    private static string FindRoot()
    {
        string at = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(at, "MigrationCluster.sln"))) at = Path.GetDirectoryName(at)!;
        return at;
    }

    [GeneratedRegex("\"(device\\.[a-z-]+)\"")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"^\| (device\.[a-z-]+) \|", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"\b(\w+Tests)\.(\w+)\b(?!\()")]
    private static partial Regex TestOfClass();

    [GeneratedRegex(@"\bT00\d_\w+")]
    private static partial Regex ThreadTest();
}
