using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>Where mc-node is: beside migctl once installed, in the sibling project's folder after a build.</summary>
public static class NodeExecutable
{
    private const string FileName = "mc-node";

    /// <exception cref="ApiException">it is in neither place.</exception>
    public static string Find(string baseDirectory)
    {
        string own = Path.TrimEndingDirectorySeparator(Path.GetFullPath(baseDirectory));
        string beside = Path.Combine(own, FileName);
        string sibling = Path.GetFullPath(
            Path.Combine(own, "..", "..", "MigrationCluster.Node", Path.GetFileName(own), FileName));
        foreach (string candidate in new[] { beside, sibling })
            if (File.Exists(candidate)) return candidate;
        throw new ApiException(
            new ApiError("demo.no-node", "the demo needs mc-node and did not find it",
                [new Reason("demo.no-node", $"neither {beside} nor {sibling} exists",
                    "run the demo with `dotnet run --project src/MigrationCluster.Cli -- demo`, or install mc-node beside migctl")]),
            ApiException.Unreachable);
    }
}
