using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>One sentence naming what and where, then every reason with what to do about it.</summary>
public static class ErrorText
{
    public static void Write(TextWriter writer, ApiError error)
    {
        writer.WriteLine($"migctl: {error.Message} [{error.Code}]");
        WriteReasons(writer, error.Reasons);
    }

    public static void WriteReasons(TextWriter writer, IEnumerable<Reason> reasons)
    {
        foreach (var reason in reasons)
        {
            writer.WriteLine($"  - {reason.Message} [{reason.Code}]");
            if (reason.Remedy.Length > 0) writer.WriteLine($"    {reason.Remedy}");
        }
    }
}
