using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace MigrationCluster.Protocol.Tests;

/// <summary>The arrows between projects are those of ARCHITECTURE.md, no more and no fewer.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly string Root = FindRoot();

    [Fact]
    public void Project_references_are_the_arrows_of_ARCHITECTURE_md()
    {
        var written = Arrow().Matches(File.ReadAllText(Path.Combine(Root, "ARCHITECTURE.md")))
            .SelectMany(match => match.Groups[2].Value.Split(", ").Select(to => $"{match.Groups[1].Value} -> {to}"))
            .Where(arrow => !arrow.EndsWith("nothing", StringComparison.Ordinal))
            .ToHashSet();
        var built = Directory.GetFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories)
            .SelectMany(project => XDocument.Load(project).Descendants("ProjectReference")
                .Where(reference => (string?)reference.Attribute("ReferenceOutputAssembly") != "false")
                .Select(reference => $"{Name(project)} -> {Name((string)reference.Attribute("Include")!)}"))
            .ToHashSet();
        Assert.NotEmpty(written);
        Assert.Equal(written.Order(), built.Order());
    }

    [Fact]
    public void Protocol_uses_no_package_at_run_time()
    {
        var project = XDocument.Load(Path.Combine(Root, "src/MigrationCluster.Protocol/MigrationCluster.Protocol.csproj"));
        Assert.All(project.Descendants("PackageReference"),
            package => Assert.Equal("all", (string?)package.Attribute("PrivateAssets")));
    }

    [Fact]
    public void A_mirrored_test_project_exists_for_every_project()
    {
        foreach (string project in Directory.GetDirectories(Path.Combine(Root, "src")))
            Assert.True(
                Directory.Exists(Path.Combine(Root, "tests", Path.GetFileName(project) + ".Tests"))
                    || Path.GetFileName(project) == "MigrationCluster.Api",
                $"{project} has no tests");
    }

    private static string Name(string project) =>
        Path.GetFileNameWithoutExtension(project).Replace("MigrationCluster.", "", StringComparison.Ordinal);

    private static string FindRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "MigrationCluster.sln")))
            directory = Path.GetDirectoryName(directory);
        return directory ?? throw new InvalidOperationException("no MigrationCluster.sln above the tests");
    }

    [GeneratedRegex(@"^    (\w+) -> ([\w, ]+)$", RegexOptions.Multiline)]
    private static partial Regex Arrow();
}
