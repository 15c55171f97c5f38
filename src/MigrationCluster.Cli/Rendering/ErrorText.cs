using MigrationCluster.Api;

namespace MigrationCluster.Cli.Rendering;

/// <summary>One sentence naming what and where, then every reason with what to do about it.</summary>
public static class ErrorText
{
    public static void Write(TextWriter writer, ApiError error)
    {
        writer.WriteLine($"migctl: {error.Message} [{error.Code}]");
        // One reason that is the sentence over again adds nothing but its remedy.
        if (error.Reasons is [var only] && error.Message.EndsWith(only.Message, StringComparison.Ordinal))
            writer.WriteLine($"    {only.Remedy}");
        else
            foreach (string line in ReasonLines.Of(error.Reasons)) writer.WriteLine(line);
    }
}
