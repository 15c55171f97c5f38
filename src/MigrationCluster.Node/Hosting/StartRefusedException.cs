namespace MigrationCluster.Node.Hosting;

/// <summary>The node cannot start as asked; the message names what and where.</summary>
/// <param name="exitCode">0: a signal has asked it to end; 1: the machine or the files are not as they must be; 2: asked for wrongly.</param>
public sealed class StartRefusedException(string message, int exitCode = 1, Exception? inner = null)
    : Exception(message, inner)
{
    public int ExitCode { get; } = exitCode;
}
