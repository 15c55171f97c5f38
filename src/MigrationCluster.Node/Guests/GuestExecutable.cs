using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Node.Guests;

/// <summary>Where mc-guest is: beside mc-node once installed, in the sibling project's folder after a build.</summary>
public static class GuestExecutable
{
    private const string FileName = "mc-guest";

    /// <exception cref="StartRefusedException">it is in neither place.</exception>
    public static string Find()
    {
        string own = Path.TrimEndingDirectorySeparator(Path.GetFullPath(AppContext.BaseDirectory));
        string beside = Path.Combine(own, FileName);
        string sibling = Path.GetFullPath(
            Path.Combine(own, "..", "..", "MigrationCluster.Guest", Path.GetFileName(own), FileName));
        return File.Exists(beside) ? beside
            : File.Exists(sibling) ? sibling
            : throw new StartRefusedException($"mc-guest is neither at {beside} nor at {sibling}: build or install it");
    }
}
