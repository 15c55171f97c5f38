using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Node.Guests;

/// <summary>Where mc-guest is: in the sibling project's folder after a build, beside mc-node once installed.</summary>
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
        return File.Exists(sibling) ? sibling
            : File.Exists(beside) ? beside
            : throw new StartRefusedException($"mc-guest is neither at {sibling} nor at {beside}: build or install it");
    }
}
