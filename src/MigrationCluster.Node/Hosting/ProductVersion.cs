using System.Reflection;

namespace MigrationCluster.Node.Hosting;

public static class ProductVersion
{
    /// <summary>Of this build, as shown to operators; never compared.</summary>
    public static string Text { get; } =
        typeof(ProductVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
