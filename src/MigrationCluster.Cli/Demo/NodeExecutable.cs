using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>Where mc-node is: in the sibling project's folder after a build, beside migctl once installed.</summary>
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
        foreach (string candidate in new[] { sibling, beside })
            if (File.Exists(candidate)) return candidate;
        throw new ApiException(
            new ApiError("demo.no-node", "the demo needs mc-node and did not find it",
                [new Reason("demo.no-node", $"neither {sibling} nor {beside} exists",
                    "run the demo with `dotnet run --project src/MigrationCluster.Cli -- demo`, or install mc-node beside migctl")]),
            ApiException.Unreachable);
    }
}
